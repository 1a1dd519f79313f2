"""The origin: where clients reach this deployment, as its folder says.

A deployment knows its address only once it listens, after its processes have begun,
and may have another one the next time; behind a proxy its owner says which. So it is looked up when it is needed: the
file is read again when it has changed.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS_FILE: Final = "address.json"
# What there is to say where nobody listens: in tests, and while it starts.
NOWHERE: Final = "http://localhost"


class _Address(msgspec.Struct):
    url: str
    secret: str = ""
    public_url: str = ""


class Origin:
    """A deployment's address, looked up in its folder.

    Args:
        folder: the deployment's.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / ADDRESS_FILE
        self._read_at: tuple[int, int] | None = None
        self._known = NOWHERE

    def __call__(self) -> str:
        """Where it is reached, the secret path included, without a slash at the end."""
        with contextlib.suppress(FileNotFoundError):
            state = self._file.stat()
            version = (state.st_mtime_ns, state.st_ino)
            if version != self._read_at:
                address = msgspec.json.decode(self._file.read_bytes(), type=_Address)
                here = origin_of(address.url, address.secret)
                self._known = address.public_url or here
                self._read_at = version
        return self._known


def origin_of(url: str, secret: str) -> str:
    """The address for clients: with the secret path, if there is one."""
    return f"{url}/c/{secret}" if secret else url


_here: list[Origin] = []


def look_in(folder: Path) -> None:
    """This process serves the deployment of that folder."""
    _here[:] = [Origin(folder)]


def origin() -> str:
    """Where the deployment that this process serves is reached."""
    return _here[0]() if _here else NOWHERE
