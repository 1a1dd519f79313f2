"""Keys of remote deployments."""

from __future__ import annotations

import stat

import pytest

from convexlab.errors import InvalidValue
from convexlab_kernel import keys

URL = "https://demo.example.com"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CONVEXLAB_ADMIN_KEY", raising=False)
    return tmp_path


def test_a_kept_key_is_its_addresss_and_its_users_alone():
    assert keys.key_of(URL) is None
    file = keys.keep(URL, "demo|1")
    keys.keep("https://other.example.com", "other|2")
    assert keys.key_of(URL) == "demo|1"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["keys.json"]
    keys.keep(URL, "demo|3")
    assert keys.key_of(URL) == "demo|3"


def test_where_nobody_logged_in_the_environments_key_is_taken(monkeypatch):
    keys.keep(URL, "demo|1")
    monkeypatch.setenv("CONVEXLAB_ADMIN_KEY", "env|1")
    assert keys.key_of(URL) == "demo|1"
    assert keys.key_of("https://other.example.com") == "env|1"


def test_a_file_that_cannot_be_read_is_said(home):
    keys.keep(URL, "demo|1")
    keys.keys_file().write_text("{")
    with pytest.raises(InvalidValue, match=r"keys\.json cannot be read"):
        keys.key_of(URL)


def test_a_relative_home_is_ignored(home, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(home))
    assert keys.keys_file() == home / ".config" / "convexlab" / "keys.json"
