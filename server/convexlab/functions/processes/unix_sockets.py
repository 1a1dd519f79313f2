"""Unix sockets of a deployment: where they are, and that they are its owner's alone."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from pathlib import Path

# What the kernel allows for the name of a Unix socket (macOS; Linux: 108).
_MOST_ADDRESS_BYTES = 103


def socket_address(folder: Path, name: str) -> Path:
    """Where a socket of a deployment's folder is; the folder for it is made.

    Beside the store, or, where that name would be too long for a socket, in a
    private folder of the machine's temporary ones.

    Raises:
        OSError: somebody else has made that folder.
    """
    beside = folder / name
    if len(os.fsencode(beside)) <= _MOST_ADDRESS_BYTES:
        return beside
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"convexlab-{os.getuid()}-{short}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid() or private.stat().st_mode & 0o077:
        raise PermissionError(f"{private} is not this user's alone.")
    return private / name


def listen_at(address: Path, backlog: int) -> socket.socket:
    """A socket at `address`, in place of one that a killed deployment left.

    Raises:
        OSError: the file system has no sockets.
    """
    address.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(address))
        address.chmod(0o600)  # N.B. before it listens: until then nobody can connect
        listening.listen(backlog)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening
