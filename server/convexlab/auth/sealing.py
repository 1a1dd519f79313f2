"""Sealing: what is kept for functions alone is of no use to who reads the disk.

    CONVEXLAB_SECRET, or the machine's secret file ─▶ HKDF ─▶ key ─▶ AES-256-GCM

The secret is not in the deployment's folder: a copy of that (a backup, a commit by
mistake, a disk that was sold) opens nothing. Whoever runs code as the deployment's user
can read both. A value is sealed together with its name, so that none can be passed off
as another.

    sealed = version (1 byte) · nonce (12) · ciphertext · tag (16)
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from convexlab import knobs
from convexlab.errors import InvalidSecret, Unavailable
from convexlab.functions.environment import unreadable
from convexlab.functions.processes.spawning import SECRET_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_VERSION: Final = b"\1"
_NONCE_BYTES: Final = 12
_PURPOSE: Final = b"convexlab environment variables"


class Sealer:
    """Seals and opens values, with one key.

    Args:
        secret: gives the machine's secret; asked for once, when there is something to
            seal or to open. Its argument is whether to make one if there is none.
    """

    def __init__(self, secret: Callable[[bool], bytes | None]) -> None:
        self._secret = secret
        self._cipher: AESGCM | None = None

    def seal(self, name: str, value: str) -> bytes:
        """A value as it may be stored.

        Raises:
            InvalidSecret, Unavailable: there is no secret to seal it with.
        """
        cipher = self._known(make=True)
        assert cipher is not None, "a secret is made where there is none"
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = cipher.encrypt(nonce, value.encode(), _VERSION + name.encode())
        return _VERSION + nonce + sealed

    def open(self, name: str, sealed: bytes) -> str:
        """The value again.

        Raises:
            EnvVarUnreadable: it was sealed with another secret, under another name, or
                has been changed.
            InvalidSecret, Unavailable: the secret cannot be read.
        """
        cipher = self._known(make=False)
        nonce, rest = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if cipher is not None and sealed[:1] == _VERSION:
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(nonce, rest, _VERSION + name.encode()).decode()
        raise unreadable([name])

    def _known(self, *, make: bool) -> AESGCM | None:
        if self._cipher is None:
            secret = self._secret(make)
            self._cipher = None if secret is None else AESGCM(_key_of(secret))
        return self._cipher


def _key_of(secret: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret)


# -- the machine's secret -------------------------------------------------------------


def machine_secret(environ: Mapping[str, str]) -> Callable[[bool], bytes | None]:
    """Where a deployment of this machine has its secret from.

    Args:
        environ: of the process that serves: CONVEXLAB_SECRET, else where
            configuration is.

    Raises:
        InvalidSecret: CONVEXLAB_SECRET is too short.
    """
    said = environ.get(SECRET_VARIABLE)
    if said is None:
        return lambda make: (_made if make else _read)(_secret_file(environ))
    if len(said) < knobs.MIN_SECRET_CHARS:
        raise InvalidSecret(
            f"{SECRET_VARIABLE} has {len(said)} characters, and needs "
            f"{knobs.MIN_SECRET_CHARS}: `openssl rand -hex 32` makes one."
        )
    return lambda _: said.encode()


def _secret_file(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_CONFIG_HOME")
    # N.B. the specification says that a relative one is to be ignored.
    base = Path(home) if home and Path(home).is_absolute() else _default_home()
    return base / "convexlab" / "secret"


def _default_home() -> Path:
    try:
        return Path("~/.config").expanduser()
    except RuntimeError:
        raise Unavailable(
            f"There is no home folder to keep a secret in: set {SECRET_VARIABLE} for the "
            "deployment."
        ) from None


def _read(file: Path) -> bytes | None:
    """The secret; None if there is none.

    Raises:
        InvalidSecret: there is something else.
        Unavailable: it cannot be read.
    """
    try:
        secret = file.read_bytes().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"The secret cannot be read: {error}.") from None
    if len(secret) < knobs.MIN_SECRET_CHARS:
        raise InvalidSecret(
            f"{file} holds no secret: it is {len(secret)} bytes long. Bring it back from "
            "a backup, or delete it; values that were sealed with it are then to be set "
            "again."
        )
    return secret


def _made(file: Path) -> bytes:
    """The secret; a new one if there is none, durable before anything is sealed.

    Raises:
        Unavailable: it cannot be kept.
    """
    known = _read(file)
    if known is not None:
        return known
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_once(file, secrets.token_hex(32).encode())
    except OSError as error:
        raise Unavailable(
            f"No secret can be kept to seal values with: {error}. Set {SECRET_VARIABLE} "
            "for the deployment instead."
        ) from None
    found = _read(file)
    assert found is not None, "somebody has written it"
    return found


def _write_once(file: Path, secret: bytes) -> None:
    """Write it, unless another deployment was quicker: whole, for the owner alone."""
    fd, fresh = tempfile.mkstemp(prefix=".secret.", dir=file.parent)
    try:
        with os.fdopen(fd, "wb") as out:  # N.B. mkstemp's files are 0600
            out.write(secret + b"\n")
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)
    finally:
        Path(fresh).unlink()
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
