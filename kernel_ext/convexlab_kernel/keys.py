"""Keys of remote deployments: in one file of the user's own, by address.

    $XDG_CONFIG_HOME/convexlab/keys.json        (0600; ~/.config where it is not set)

Never in a notebook, a project's folder or an output: those are shared.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from convexlab.errors import InvalidValue


def key_of(url: str) -> str | None:
    """The key with which somebody logged in at this address; else the environment's."""
    return _read().get(url) or os.environ.get("CONVEXLAB_ADMIN_KEY")


def keep(url: str, key: str) -> Path:
    """Keep a key for this address; the file that has it."""
    file = keys_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    body = msgspec.json.format(msgspec.json.encode({**_read(), url: key}))
    # N.B. a new file from the start: it is never readable by others, nor half written.
    new = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(body)
    new.replace(file)
    return file


def keys_file() -> Path:
    """Where keys are kept."""
    home = os.environ.get("XDG_CONFIG_HOME")
    # N.B. the specification says that a relative one is to be ignored.
    base = Path(home) if home and Path(home).is_absolute() else Path.home() / ".config"
    return base / "convexlab" / "keys.json"


def _read() -> dict[str, str]:
    file = keys_file()
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        message = f"{file} cannot be read ({error}): remove it, and log in again."
        raise InvalidValue(message) from None
