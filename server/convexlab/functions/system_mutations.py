"""The system's own mutations: what the gateway has done to the timetable, and to files.

They go the way of users' mutations (in order, recorded under their call's id, in
groups), so that each is done exactly once whatever dies, and they run no user code.
Only the gateway and holders of the admin key reach them.
"""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import from_wire
from convexlab.errors import NotFound
from convexlab.functions import cron_runs, file_documents, scheduled, settings
from convexlab.functions.scheduled import Ended, Scheduling
from convexlab.functions.scheduler import canonical_name
from convexlab.functions.timetable import book_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.documents.value import Value
    from convexlab.engine.transaction import Transaction
    from convexlab.functions.modules import ModuleSet

SYSTEM: Final = "_system/"
SCHEDULE: Final = "_system/scheduler:schedule"
CANCEL: Final = "_system/scheduler:cancel"
COMPLETE: Final = "_system/scheduler:complete"
INTERRUPT: Final = "_system/scheduler:interrupt"
FORGET: Final = "_system/scheduler:forget"
STORE: Final = "_system/storage:store"
DELETE: Final = "_system/storage:delete"
SET: Final = "_system/settings:set"


def run(
    path: str,
    args_json: bytes,
    tx: Transaction,
    modules: ModuleSet,
    scheduling: Scheduling,
) -> Value:
    """Do what a path stands for.

    Raises:
        NotFound: it stands for nothing.
        CallerError: as each of them says.
    """
    mutation = _MUTATIONS.get(path)
    if mutation is None:
        raise NotFound(f"Could not find function for '{path}'.")
    args: Any = from_wire(args_json)
    return mutation(tx, args, modules, scheduling)


def _schedule(
    tx: Transaction, args: dict[str, Any], modules: ModuleSet, scheduling: Scheduling
) -> str:
    """From an action: `path`, `args` and `time`, which its process has checked."""
    name = canonical_name(args["path"], modules)
    return scheduled.schedule(tx, name, args["args"], args["time"], scheduling)


def _cancel(
    tx: Transaction, args: dict[str, Any], _: ModuleSet, scheduling: Scheduling
) -> None:
    """From an action, or by hand: `id`."""
    scheduled.cancel(tx, args["id"], scheduling)


def _complete(
    tx: Transaction, args: dict[str, Any], _: ModuleSet, __: Scheduling
) -> None:
    """An entry's run is over: `entry`, `error` or None, `value`, `logLines`."""
    value = args["value"]
    ended = Ended(
        args["error"], None if value is None else value.encode(), args["logLines"]
    )
    book_of(args["entry"]).complete(tx, args["entry"], ended)


def _interrupt(
    tx: Transaction, _: dict[str, Any], __: ModuleSet, ___: Scheduling
) -> int:
    """The deployment has just begun: what was in progress has failed."""
    return scheduled.interrupt(tx) + cron_runs.interrupt(tx)


def _forget(tx: Transaction, _: dict[str, Any], __: ModuleSet, ___: Scheduling) -> bool:
    """Some of what was over long ago goes; whether there may be more."""
    return scheduled.forget(tx)


def _store(tx: Transaction, args: dict[str, Any], _: ModuleSet, __: Scheduling) -> str:
    """A file's bytes are there: `sha256` in base64, `size`, `contentType` or None."""
    sha256 = b64decode(args["sha256"])
    return file_documents.add(tx, sha256, int(args["size"]), args["contentType"])


def _delete(
    tx: Transaction, args: dict[str, Any], _: ModuleSet, __: Scheduling
) -> None:
    """From an action, or by hand: `id` of a file."""
    file_documents.delete(tx, args["id"])


def _set(tx: Transaction, args: dict[str, Any], _: ModuleSet, __: Scheduling) -> None:
    """Settings by name; None takes one away."""
    settings.set_settings(tx, args)


_MUTATIONS: Final[
    dict[str, Callable[[Transaction, dict[str, Any], ModuleSet, Scheduling], Value]]
] = {
    SCHEDULE: _schedule,
    CANCEL: _cancel,
    COMPLETE: _complete,
    INTERRUPT: _interrupt,
    FORGET: _forget,
    STORE: _store,
    DELETE: _delete,
    SET: _set,
}
