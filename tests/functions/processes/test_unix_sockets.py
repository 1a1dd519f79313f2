"""Unix sockets: their names fit, and nobody else comes in."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from convexlab.functions.processes.unix_sockets import listen_at, socket_address


def test_a_socket_is_beside_the_store(tmp_path):
    folder = Path("/short")
    assert socket_address(folder, "x.sock") == folder / "x.sock"


def test_a_name_that_is_too_long_is_in_a_private_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    folder = tmp_path / ("long" * 30)
    address = socket_address(folder, "x.sock")
    try:
        assert address != folder / "x.sock"
        assert address.parent.stat().st_mode & 0o077 == 0
        assert socket_address(folder, "x.sock") == address
        listen_at(address, 1).close()
        address.parent.chmod(0o755)
        with pytest.raises(PermissionError):
            socket_address(folder, "x.sock")
    finally:
        address.unlink(missing_ok=True)
        address.parent.rmdir()


def test_its_owner_alone_connects_and_the_newest_listens(tmp_path):
    address = tmp_path / "x.sock"
    listen_at(address, 1).close()
    with listen_at(address, 1), socket.socket(socket.AF_UNIX) as client:
        assert address.stat().st_mode & 0o777 == 0o600
        client.connect(str(address))
