"""Where a deployment is, and how it is started: the one answer for everybody.

The kernel, the Jupyter Server extension and the command line all ask here, so
that two JupyterLabs, an editor and a script share one deployment.

    what is said (a name, a URL) → $CONVEXLAB_URL → the nearest `.convexlab/`
    upward from the working directory → a new one in the project's root

A running local deployment writes `.convexlab/NAME/address.json` (0600). Where
that file is missing or nobody answers at its address, the deployment is started
as a process of its own, which outlives whoever started it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from convexlab import knobs
from convexlab.errors import CallerError, NotAllowed, NotFound, Unavailable
from convexlab_kernel import starting
from convexlab_kernel.endpoint import Endpoint
from convexlab_kernel.keys import key_of
from convexlab_kernel.starting import HOME, prepare

DEFAULT_NAME = "local"
ROOT_MARKS = (".git", "pyproject.toml", "package.json")


class AddressFile(msgspec.Struct, frozen=True):
    """What a running local deployment says about itself."""

    url: str
    admin_key: str
    secret: str | None = None
    pid: int = 0
    site_url: str | None = None
    takes_connections_at: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """A deployment that was found.

    Args:
        name: what it is called: `local`, another local name, or its host.
        url: its own address, without a secret path.
        admin_key: the key that opens everything, where it is known.
        secret: the secret path of a deployment that has one.
        folder: its folder, for a local one.
        pid: its process, for a local one.
        takes_connections_at: the Unix socket of a local one that takes over
            connections which a Jupyter Server has accepted.
    """

    name: str
    url: str
    admin_key: str | None = None
    secret: str | None = None
    folder: Path | None = None
    pid: int = 0
    takes_connections_at: Path | None = None

    @property
    def client_url(self) -> str:
        """The address for clients in a browser: with the secret path, where there is one."""
        return f"{self.url}/c/{self.secret}" if self.secret else self.url

    @property
    def headers(self) -> dict[str, str]:
        """What an admin's request carries."""
        return {"Authorization": f"Convex {self.admin_key}"} if self.admin_key else {}


# -- which one -----------------------------------------------------------------


def locate(target: str | None = None, *, start: Path | None = None) -> Address | Path:
    """Answer which deployment is meant: a remote address, or a local one's folder.

    Args:
        target: what was said: a name or a URL; None for the default.
        start: where the search for `.convexlab/` begins; the working directory.
    """
    base = start or Path.cwd()
    if target is None:
        target = os.environ.get("CONVEXLAB_URL") or DEFAULT_NAME
    if "://" in target:
        return _remote(target)
    _check_name(target)
    home = nearest_home(base) or project_root(base) / HOME
    listed = _listed(home).get(target)
    if listed is not None:
        return _remote(listed, name=target)
    return home / target


def nearest_home(start: Path) -> Path | None:
    """The nearest `.convexlab/` at or above `start`."""
    for folder in (start, *start.parents):
        if (folder / HOME).is_dir():
            return folder / HOME
    return None


def project_root(start: Path) -> Path:
    """The nearest folder at or above `start` that looks like a project's, else `start`."""
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in ROOT_MARKS):
            return folder
    return start


def project_of(start: Path) -> Path:
    """The folder whose `.convexlab/` is meant at `start`, whether it is there yet."""
    home = nearest_home(start)
    return home.parent if home else project_root(start)


def _remote(url: str, *, name: str | None = None) -> Address:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        message = (
            f"{url!r} is not a deployment's address. Write it with its scheme, "
            "for instance https://demo.example.com."
        )
        raise CallerError(message)
    plain, _, secret = url.rstrip("/").partition("/c/")
    return Address(name or parts.netloc, plain, key_of(plain), secret or None)


def _check_name(name: str) -> None:
    if not name.replace("-", "_").isidentifier():
        message = (
            f"{name!r} cannot name a deployment: use letters, digits, `_` and `-`, "
            "or give its URL."
        )
        raise CallerError(message)


def _listed(home: Path) -> dict[str, str]:
    """The remote deployments of `.convexlab/deployments.toml`: name to address."""
    file = home / "deployments.toml"
    if not file.is_file():
        return {}
    found: dict[str, str] = {}
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise CallerError(f"{file} is not TOML: {error}.") from None
    for name, entry in entries.items():
        url = entry.get("url") if isinstance(entry, dict) else entry
        if not isinstance(url, str):
            message = f'{file}: [{name}] has no `url`. Write url = "https://…".'
            raise CallerError(message)
        found[name] = url
    return found


def known(start: Path | None = None) -> dict[str, str]:
    """The deployments that have a name here: their folders, or their addresses."""
    base = start or Path.cwd()
    home = nearest_home(base) or project_root(base) / HOME
    folders = {
        folder.name: str(folder)
        for folder in sorted(home.glob("*"))
        if (folder / "address.json").is_file()
    }
    return {DEFAULT_NAME: str(home / DEFAULT_NAME), **folders, **_listed(home)}


def check_name(name: str, url: str, *, start: Path | None = None) -> Path:
    """Where the name of a remote deployment would be kept.

    Raises:
        CallerError: it cannot be its name, or is another deployment's.
    """
    _check_name(name)
    base = start or Path.cwd()
    home = nearest_home(base) or project_root(base) / HOME
    file, before = home / "deployments.toml", known(base).get(name)
    if before not in {None, url}:
        taken = str(before).partition("/c/")[0]
        message = f"`{name}` is {taken} already: take another name, or edit {file}."
        raise CallerError(message)
    return file


def enlist(name: str, url: str, *, start: Path | None = None) -> Path:
    """Give a remote deployment a name, in `.convexlab/deployments.toml`; that file."""
    file = check_name(name, url, start=start)
    if name not in _listed(file.parent):
        prepare(file.parent / DEFAULT_NAME)
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        entry = f"[{name}]\nurl = {msgspec.json.encode(url).decode()}\n"
        file.write_text(f"{text.rstrip()}\n\n{entry}".lstrip(), encoding="utf-8")
    return file


# -- is it running -------------------------------------------------------------


def read_address(folder: Path) -> Address | None:
    """What the deployment in `folder` last said of itself, running or not."""
    try:
        raw = (folder / "address.json").read_bytes()
        said = msgspec.json.decode(raw, type=AddressFile)
    except (OSError, msgspec.MsgspecError):
        return None
    return Address(
        folder.name,
        said.url.rstrip("/"),
        said.admin_key,
        said.secret or None,
        folder,
        said.pid,
        Path(said.takes_connections_at) if said.takes_connections_at else None,
    )


def answers(address: Address) -> bool:
    """Whether somebody serves at this address."""
    endpoint = Endpoint(
        address.client_url, headers=address.headers, timeout=knobs.PROBE_SECONDS
    )
    try:
        return endpoint.request("GET", "/version").status == 200
    except Unavailable:
        return False
    finally:
        endpoint.close()


def running(folder: Path) -> Address | None:
    """The deployment of this folder, if it runs."""
    address = read_address(folder)
    return address if address is not None and answers(address) else None


# -- starting and stopping -----------------------------------------------------


def connect(target: str | None = None, *, start: Path | None = None) -> Address:
    """Find the deployment that is meant and, if it is local, see that it runs."""
    place = locate(target, start=start)
    return place if isinstance(place, Address) else attach(place)


def attach(folder: Path) -> Address:
    """Attach to the deployment of this folder, starting it where it does not run.

    Whoever comes first starts it; those who come meanwhile wait for that one.

    Raises:
        NotStarted: it does not come up; says why, and what to do.
    """
    address = running(folder)
    if address is not None:
        return address
    prepare(folder)
    with starting.alone(folder):
        return running(folder) or _start(folder)


def _start(folder: Path) -> Address:
    before = read_address(folder)
    start = starting.Start(folder)
    deadline = time.monotonic() + knobs.START_SECONDS
    while time.monotonic() < deadline:
        address = read_address(folder)
        if address is not None and address != before and answers(address):
            return address
        if start.has_ended:
            # N.B. another one may have won the folder meanwhile.
            won = running(folder)
            if won is None:
                raise start.failure()
            return won
        time.sleep(0.02)
    raise start.give_up()


def stop(address: Address) -> None:
    """End a local deployment; its data stays."""
    if address.folder is None or not address.pid:
        message = (
            f"`{address.name}` is not a local deployment of this machine: stop it "
            "where it runs."
        )
        raise NotAllowed(message)
    if not answers(address):
        message = f"The deployment in {address.folder} is not running."
        raise NotFound(message)
    with contextlib.suppress(ProcessLookupError):
        os.kill(address.pid, signal.SIGTERM)
    deadline = time.monotonic() + knobs.START_SECONDS
    while _alive(address.pid) and time.monotonic() < deadline:
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A child of ours that has ended stays as a zombie until it is waited for.
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    return True
