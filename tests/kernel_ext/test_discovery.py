"""Which deployment is meant; starting one is seen in the journeys."""

from __future__ import annotations

import msgspec
import pytest

from convexlab.errors import CallerError, NotAllowed
from convexlab_kernel import discovery, starting
from convexlab_kernel.discovery import Address


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("CONVEXLAB_URL", raising=False)
    monkeypatch.delenv("CONVEXLAB_ADMIN_KEY", raising=False)


def test_what_is_said_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVEXLAB_URL", "http://env:1")
    said = discovery.locate("https://demo.example.com/", start=tmp_path)
    assert (said.name, said.url) == ("demo.example.com", "https://demo.example.com")
    assert discovery.locate("demo", start=tmp_path) == tmp_path / ".convexlab" / "demo"


def test_then_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVEXLAB_URL", "http://env:1/c/abc")
    monkeypatch.setenv("CONVEXLAB_ADMIN_KEY", "k|1")
    found = discovery.locate(start=tmp_path)
    assert (found.url, found.secret, found.admin_key) == ("http://env:1", "abc", "k|1")
    assert found.client_url == "http://env:1/c/abc"


def test_then_the_nearest_home_upward(tmp_path):
    (tmp_path / ".convexlab").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").touch()
    assert discovery.locate(start=deep) == tmp_path / ".convexlab" / "local"


def test_else_a_new_one_in_the_projects_root(tmp_path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").touch()
    assert discovery.locate(start=deep) == tmp_path / "a" / ".convexlab" / "local"


def test_remote_ones_are_known_by_name(tmp_path):
    home = tmp_path / ".convexlab"
    home.mkdir()
    (home / "deployments.toml").write_text('[demo]\nurl = "https://demo.example.com"\n')
    found = discovery.locate("demo", start=tmp_path)
    assert (found.name, found.url) == ("demo", "https://demo.example.com")


def test_a_name_is_written_beside_those_that_are_there(tmp_path):
    url = "https://demo.example.com"
    file = discovery.enlist("demo", url, start=tmp_path)
    file.write_text(f"# ours\n{file.read_text()}")
    discovery.enlist("other-one", "https://other.example.com", start=tmp_path)
    discovery.enlist("demo", url, start=tmp_path)
    assert file.read_text() == (
        f'# ours\n[demo]\nurl = "{url}"\n\n'
        '[other-one]\nurl = "https://other.example.com"\n'
    )
    assert list(discovery.known(tmp_path)) == ["local", "demo", "other-one"]
    for name in ("demo", "local", "a b"):
        with pytest.raises(CallerError):
            discovery.enlist(name, "https://x.example.com", start=tmp_path)
    file.write_text("[demo")
    with pytest.raises(CallerError, match=r"deployments\.toml is not TOML"):
        discovery.known(tmp_path)


@pytest.mark.parametrize("target", ["../x", "a b", "ftp://x", "http://"])
def test_what_cannot_be_one_is_refused(tmp_path, target):
    with pytest.raises(CallerError):
        discovery.locate(target, start=tmp_path)


def test_an_address_file_is_read_and_a_broken_one_is_not(tmp_path):
    said = {"url": "http://127.0.0.1:1/", "secret": "s", "admin_key": "k", "pid": 5}
    (tmp_path / "address.json").write_bytes(msgspec.json.encode(said))
    found = discovery.read_address(tmp_path)
    assert found == Address(tmp_path.name, "http://127.0.0.1:1", "k", "s", tmp_path, 5)
    assert found.headers == {"Authorization": "Convex k"}
    assert discovery.running(tmp_path) is None
    (tmp_path / "address.json").write_text("{")
    assert discovery.read_address(tmp_path) is None


def test_the_home_ignores_itself_in_git(tmp_path):
    starting.prepare(tmp_path / ".convexlab" / "local")
    assert (tmp_path / ".convexlab" / ".gitignore").read_text() == "*\n"


def test_only_a_local_deployment_is_stopped_from_here():
    with pytest.raises(NotAllowed, match="not a local deployment"):
        discovery.stop(Address("demo", "https://demo"))
