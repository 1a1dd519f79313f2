"""The system's own mutations: what the gateway has done to the timetable, and to files.

They go the way of users' mutations (in order, recorded under their call's id, in
groups), so that each is done exactly once whatever dies, and they run no user code.
Only the gateway and holders of the admin key reach them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.encoding import from_wire
from convexlab.errors import InvalidArguments, NotFound
from convexlab.functions import (
    browsing,
    cron_runs,
    embedding_documents,
    file_documents,
    scheduled,
    settings,
    transfer_mutations,
    variables,
)
from convexlab.functions.scheduled import Ended, Scheduling
from convexlab.functions.scheduler import canonical_name, check_window
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


class _Schedule(msgspec.Struct, frozen=True):
    """From an action: a function, and when: `at`, or `after` so many ms."""

    path: str
    args: dict[str, Any]
    at: float | None = None
    after: float = 0.0


class _Named(msgspec.Struct, frozen=True):
    """What is named by its id."""

    id: str


class _Complete(msgspec.Struct, frozen=True, rename="camel"):
    """An entry's run is over: why it failed, or the beginning of its value."""

    entry: str
    error: str | None
    value: str | None
    log_lines: list[str]


class _Store(msgspec.Struct, frozen=True, rename="camel"):
    """A file's bytes are there: their hash in base64, and their size."""

    sha256: bytes
    size: float
    content_type: str | None


class _Nothing(msgspec.Struct, frozen=True):
    """No arguments."""


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
        InvalidArguments: they are not what it takes.
        CallerError: as each of them says.
    """
    if path not in _MUTATIONS:
        raise NotFound(f"Could not find function for '{path}'.")
    shape, mutation = _MUTATIONS[path]
    try:
        args = msgspec.convert(from_wire(args_json), shape)
    except msgspec.ValidationError as error:
        raise InvalidArguments(f"ArgumentValidationError: {error}") from None
    return mutation(tx, args, modules, scheduling)


def _schedule(
    tx: Transaction, args: _Schedule, modules: ModuleSet, scheduling: Scheduling
) -> str:
    due_ms = tx.now_ms + args.after if args.at is None else args.at
    check_window(due_ms, tx.now_ms)
    name = canonical_name(args.path, modules)
    return scheduled.schedule(tx, name, args.args, due_ms, scheduling)


def _cancel(tx: Transaction, args: _Named, _: object, scheduling: Scheduling) -> None:
    """From an action, or by hand."""
    scheduled.cancel(tx, args.id, scheduling)


def _complete(tx: Transaction, args: _Complete, *_: object) -> None:
    value = None if args.value is None else args.value.encode()
    ended = Ended(args.error, value, args.log_lines)
    book_of(args.entry).complete(tx, args.entry, ended)


def _interrupt(tx: Transaction, *_: object) -> int:
    """The deployment has just begun: what was in progress has failed."""
    return scheduled.interrupt(tx) + cron_runs.interrupt(tx)


def _forget(tx: Transaction, *_: object) -> bool:
    """Some of what was over long ago goes; whether there may be more."""
    return scheduled.forget(tx)


def _store(tx: Transaction, args: _Store, *_: object) -> str:
    return file_documents.add(tx, args.sha256, int(args.size), args.content_type)


def _delete(tx: Transaction, args: _Named, *_: object) -> None:
    """A file: from an action, or by hand."""
    file_documents.delete(tx, args.id)


def _set(tx: Transaction, args: dict[str, Any], *_: object) -> None:
    """Settings by name; None takes one away."""
    settings.set_settings(tx, args)


# What each takes, and what it does with it.
_MUTATIONS: Final[dict[str, tuple[Any, Callable[..., Value]]]] = {
    SCHEDULE: (_Schedule, _schedule),
    CANCEL: (_Named, _cancel),
    COMPLETE: (_Complete, _complete),
    INTERRUPT: (_Nothing, _interrupt),
    FORGET: (_Nothing, _forget),
    STORE: (_Store, _store),
    DELETE: (_Named, _delete),
    SET: (dict[str, Any], _set),
    variables.UPDATE: (variables.Update, variables.update),
    embedding_documents.WRITE: (embedding_documents.Write, embedding_documents.write),
    **browsing.MUTATIONS,
    **transfer_mutations.MUTATIONS,
}
