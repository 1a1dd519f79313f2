"""What is sealed opens with the same secret under the same name, and not otherwise."""

from __future__ import annotations

import stat

import pytest
from hypothesis import given, strategies as st

from convexlab.auth.sealing import Sealer, machine_secret
from convexlab.errors import EnvVarUnreadable, InvalidSecret, Unavailable
from convexlab.functions.variables import SEAL_BYTES

SECRET = "s" * 32


def sealer(secret=SECRET):
    return Sealer(lambda _: secret.encode())


@given(st.text(max_size=50), st.text(st.characters(codec="utf-8"), max_size=200))
def test_a_value_comes_back_and_does_not_show(name, value):
    sealed = sealer().seal(name, value)
    assert sealer().open(name, sealed) == value
    assert len(sealed) == len(value.encode()) + SEAL_BYTES
    assert len(value) < 4 or value.encode() not in sealed
    assert sealed != sealer().seal(name, value), "who compares them learns nothing"


def test_another_secret_or_name_or_byte_opens_nothing():
    sealed = sealer().seal("KEY", "value")
    for name, opener in (("KEY", sealer("t" * 32)), ("OTHER", sealer())):
        with pytest.raises(EnvVarUnreadable, match=f"`{name}`.*convexlab env set"):
            opener.open(name, sealed)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(EnvVarUnreadable):
            sealer().open("KEY", bytes(changed))
    for short in (b"", b"\1", sealed[:13], sealed[:-1]):
        with pytest.raises(EnvVarUnreadable):
            sealer().open("KEY", short)


def test_the_machines_secret_is_made_when_something_is_first_sealed(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    file = tmp_path / "convexlab" / "secret"
    one = Sealer(machine_secret(environ))
    with pytest.raises(EnvVarUnreadable):
        one.open("KEY", b"x" * 40)
    assert not file.exists(), "nothing has been sealed"
    sealed = one.seal("KEY", "value")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [each.name for each in file.parent.iterdir()] == ["secret"]
    again = Sealer(machine_secret(environ))
    assert again.open("KEY", sealed) == "value"
    assert len(file.read_bytes()) == 65


def test_the_secret_of_who_was_quicker_holds(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    one, other = Sealer(machine_secret(environ)), Sealer(machine_secret(environ))
    assert other.open("KEY", one.seal("KEY", "a")) == "a"
    assert one.open("KEY", other.seal("KEY", "b")) == "b"


def test_a_secret_that_is_said_is_taken(tmp_path):
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "CONVEXLAB_SECRET": SECRET}
    sealed = Sealer(machine_secret(environ)).seal("KEY", "value")
    assert not list(tmp_path.iterdir())
    assert sealer().open("KEY", sealed) == "value"


def test_what_no_secret_can_be_is_said(tmp_path):
    with pytest.raises(InvalidSecret, match="has 5 characters, and needs 32"):
        machine_secret({"CONVEXLAB_SECRET": "short"})
    file = tmp_path / "convexlab" / "secret"
    file.parent.mkdir()
    file.write_text("half")
    one = Sealer(machine_secret({"XDG_CONFIG_HOME": str(tmp_path)}))
    with pytest.raises(InvalidSecret, match="holds no secret: it is 4 bytes long"):
        one.seal("KEY", "value")
    file.unlink()
    file.mkdir()
    with pytest.raises(Unavailable, match="The secret cannot be read"):
        one.seal("KEY", "value")
    occupied = tmp_path / "file"
    occupied.write_text("")
    one = Sealer(machine_secret({"XDG_CONFIG_HOME": str(occupied)}))
    with pytest.raises(
        Unavailable, match=r"CONVEXLAB_SECRET for the deployment|cannot be read"
    ):
        one.seal("KEY", "value")
