"""The deployment: the one place where parts meet.

Opened in the order of the data's path, closed in reverse:

    folder (one deployment at a time) ─▶ processes ─▶ gateway ─▶ web ─▶ address

The folder holds all there is: `store.sqlite3`, `keys.json` (who may), and, while
it runs, `address.json` (where). Both files are for the owner's eyes only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from typing import IO, TYPE_CHECKING, Any

import msgspec

from convexlab.errors import ConvexlabError, Unavailable
from convexlab.functions.processes import messages
from convexlab.functions.processes.push import Pusher
from convexlab.functions.processes.supervisor import Answered, Supervisor
from convexlab.sync.backend import (
    ActionCall,
    ActionRun,
    FunctionKind,
    Listener,
    MutationCall,
    MutationRun,
    Published,
    QueryCall,
    QueryRun,
    Reply,
    RunError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


# -- the folder -------------------------------------------------------------------


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
    """Where: kept in `address.json` while the deployment runs."""

    url: str
    secret: str
    admin_key: str
    pid: int


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

    def announce(self, url: str, port: int, *, secret: str) -> None:
        """Write where the deployment answers."""
        self.keys = msgspec.structs.replace(self.keys, port=port)
        write_private(self.path / "keys.json", msgspec.json.encode(self.keys))
        address = Address(url, secret, self.keys.admin_key, os.getpid())
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


# -- the processes, as the gateway sees them -----------------------------------------


class ProcessBackend:
    """`sync.backend.Backend` on the supervisor's processes.

    Args:
        folder: the deployment's folder.
        secret: what pagination cursors are sealed with.
        log: where the processes' stderr goes.
    """

    def __init__(self, folder: Path, secret: bytes, log: IO[bytes]) -> None:
        self.supervisor = Supervisor(folder, secret, log, self._published)
        self.pusher = Pusher(self.supervisor)
        self.ts = 0
        self._listener: Listener | None = None
        self._kinds: dict[str, FunctionKind] = {}

    async def open(self) -> None:
        """Start the processes."""
        await self.supervisor.open()
        self.ts = self.supervisor.ts
        self.learn((await self.pusher.describe(counts=False)).functions)

    def learn(self, functions: Sequence[dict[str, Any]]) -> None:
        """Take in what is deployed, for `kind`."""
        self._kinds = {
            item["identifier"].replace(".js:", ":"): item["functionType"].lower()
            for item in functions
            if "identifier" in item
        }

    def listen(self, listener: Listener) -> None:
        """See `Backend.listen`."""
        self._listener = listener

    async def run_query(self, call: QueryCall) -> QueryRun:
        """See `Backend.run_query`."""
        done = await self.supervisor.read(
            messages.RunQuery(
                self.supervisor.next_number(),
                call.path,
                call.args,
                call.caller.identity,
                call.caller.admin,
                call.at,
                call.journal,
                call.stored,
            )
        )
        return QueryRun(
            ts=done.ts,
            value=done.value,
            error=_run_error(done.failure),
            log_lines=tuple(done.log_lines),
            journal=done.journal,
            reads=done.read_set,
            identity_read=done.identity_read,
            clock_read=done.clock_read,
        )

    def submit(self, call: MutationCall) -> None:
        """See `Backend.submit`."""
        self.supervisor.submit(
            messages.RunMutation(
                self.supervisor.next_number(),
                call.call_id,
                call.path,
                call.args,
                call.caller.identity,
                call.caller.admin,
                call.stored,
            ),
            call,
        )

    async def run_action(self, call: ActionCall) -> ActionRun:
        """See `Backend.run_action`; actions come with a later release."""
        message = (
            f"`{call.path}` is an action; this release runs queries and mutations."
            if self.kind(call.path) == "action"
            else f"Could not find public function for '{call.path}'."
        )
        return ActionRun(error=RunError(message))

    def kind(self, path: str) -> FunctionKind | None:
        """See `Backend.kind`."""
        return self._kinds.get(path if ":" in path else f"{path}:default")

    def raise_clock(self, ts: int) -> None:
        """See `Backend.raise_clock`."""
        self.supervisor.raise_clock(ts)

    def _published(self, group: messages.Group, answered: list[Answered]) -> None:
        """Pass a group on: one step, `ts` and replies together (B1)."""
        self.ts = group.ts
        if self._listener is not None:
            replies = [Reply(call, _outcome(reply)) for call, reply in answered if call]
            self._listener.published(
                Published(group.previous, group.ts, group.touched, replies)
            )


def _outcome(reply: messages.Reply | ConvexlabError) -> MutationRun | ConvexlabError:
    if isinstance(reply, ConvexlabError):
        return reply
    return MutationRun(
        ts=reply.ts,
        value=reply.value,
        error=_run_error(reply.failure),
        log_lines=tuple(reply.log_lines),
    )


def _run_error(failure: messages.Failure | None) -> RunError | None:
    if failure is None:
        return None
    text = failure.message
    if failure.traceback:
        text = f"{text}\n{failure.traceback}"
    return RunError(text, failure.data)
