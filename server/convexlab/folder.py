"""A deployment's folder: held by one deployment at a time.

Beside the store it holds `keys.json` (who may) and, while the deployment runs,
`address.json` (where). Both are for the owner's eyes only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from convexlab.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


class Keys(msgspec.Struct, frozen=True):
    """Who may: kept in `keys.json`, made once for each folder.

    Args:
        instance: the deployment's name; part of the admin key.
        admin: the secret half of the admin key.
        path: the secret part of the addresses for clients.
        port: the port of the last run, taken again if it is free, so that pages
            and scripts that were open find the deployment where it was.
    """

    instance: str
    admin: str
    path: str
    port: int = 0

    @property
    def admin_key(self) -> str:
        """The deployment's key, as users and the official CLI pass it."""
        return f"{self.instance}|{self.admin}"


class Address(msgspec.Struct, frozen=True):
    """Where: kept in `address.json` while the deployment runs.

    Args:
        url: where it listens.
        secret: the secret part of the addresses for clients; empty without a gate.
        admin_key: the deployment's key.
        pid: of the serving process.
        site_url: where its HTTP actions are, on this machine.
        public_url: where clients reach it, if not here: behind a proxy.
        takes_connections_at: the Unix socket where Jupyter hands sockets over; None
            where the file system has no such thing.
    """

    url: str
    secret: str
    admin_key: str
    pid: int
    site_url: str
    public_url: str = ""
    takes_connections_at: str | None = None


class Folder:
    """A deployment's folder, held by one deployment at a time.

    Args:
        path: made if it is not there; `.convexlab/NAME` ignores itself in git.

    Raises:
        Unavailable: another deployment holds it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.path.parent.name == ".convexlab":
            ignore = self.path.parent / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        self._lock = (self.path / "deployment.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise Unavailable(
                f"Another convexlab process serves {self.path} already."
            ) from None
        self.keys = self._load_keys()

    def _load_keys(self) -> Keys:
        file = self.path / "keys.json"
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode(file.read_bytes(), type=Keys)
        keys = Keys(
            instance=f"convexlab-{secrets.token_hex(4)}",
            admin=secrets.token_hex(32),
            path=secrets.token_urlsafe(24),
        )
        write_private(file, msgspec.json.encode(keys))
        return keys

    def keep_port(self, port: int) -> None:
        """The next run answers there too, if it can."""
        self.keys = msgspec.structs.replace(self.keys, port=port)
        write_private(self.path / "keys.json", msgspec.json.encode(self.keys))

    def announce(self, address: Address) -> None:
        """Write where the deployment answers."""
        write_private(self.path / "address.json", msgspec.json.encode(address))

    def close(self) -> None:
        """Take the address back and let go of the folder."""
        (self.path / "address.json").unlink(missing_ok=True)
        self._lock.close()


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
