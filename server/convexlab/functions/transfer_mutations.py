"""What exports and imports have done in the writer: the system's mutations for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.functions import imports, transfers

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.documents.value import Value
    from convexlab.engine.transaction import Transaction

REQUEST_EXPORT: Final = "_system/exports:request"
CREATE_IMPORT: Final = "_system/imports:create"
BEGIN_IMPORT: Final = "_system/imports:begin"
INSERT_ROWS: Final = "_system/imports:insert"
FINISH_IMPORT: Final = "_system/imports:finish"
TAKE_BACK_IMPORT: Final = "_system/imports:takeBack"
ABORT_IMPORT: Final = "_system/imports:abort"
SAY: Final = "_system/transfers:say"
INTERRUPT: Final = "_system/transfers:interrupt"


class _Nothing(msgspec.Struct, frozen=True):
    """No arguments."""


class _Request(msgspec.Struct, frozen=True, rename="camel"):
    """An export is wanted, with the bytes of files or without."""

    include_storage: bool


class _Begin(msgspec.Struct, frozen=True):
    """Make room for tables, each with the number in the ids that it comes with."""

    id: str
    mode: imports.Mode
    tables: dict[str, float | None]


class _Rows(msgspec.Struct, frozen=True):
    """Some rows of a table, as lines."""

    id: str
    table: str
    rows: str
    first: float


class _Finish(msgspec.Struct, frozen=True):
    """All rows are in, and these files; what is told of it."""

    id: str
    files: list[str]
    state: dict[str, Any]


class _TakeBack(msgspec.Struct, frozen=True):
    """Some of what an import has appended is to go."""

    id: str


class _Abort(msgspec.Struct, frozen=True):
    """Nothing comes of an import; what is told of it."""

    id: str
    state: dict[str, Any]


class _Say(msgspec.Struct, frozen=True):
    """Something has become of an export or an import."""

    id: str
    fields: dict[str, Any]


def _request(tx: Transaction, args: _Request, *_: object) -> str:
    return transfers.request_export(tx, include_storage=args.include_storage)


def _create(tx: Transaction, args: dict[str, Any], *_: object) -> str:
    return transfers.create_import(tx, args)


def _begin(tx: Transaction, args: _Begin, *_: object) -> Value:
    numbers = {
        name: None if number is None else int(number)
        for name, number in args.tables.items()
    }
    return dict(imports.begin(tx, args.id, numbers, args.mode))


def _insert(tx: Transaction, args: _Rows, *_: object) -> int:
    rows = args.rows.encode().split(b"\n")
    return imports.insert(tx, args.id, args.table, rows, int(args.first))


def _finish(tx: Transaction, args: _Finish, *_: object) -> None:
    imports.finish(tx, args.id, args.files)
    transfers.say(tx, args.id, {"state": args.state})


def _take_back(tx: Transaction, args: _TakeBack, *_: object) -> bool:
    return imports.take_back(tx, args.id)


def _abort(tx: Transaction, args: _Abort, *_: object) -> None:
    imports.abort(tx, args.id)
    transfers.say(tx, args.id, {"state": args.state})


def _tell(tx: Transaction, args: _Say, *_: object) -> None:
    transfers.say(tx, args.id, args.fields)


def _interrupt(tx: Transaction, *_: object) -> Value:
    """The deployment has just begun: which imports are to be taken back."""
    return list(transfers.interrupt(tx))


# What each takes, and what it does with it.
MUTATIONS: Final[dict[str, tuple[Any, Callable[..., Value]]]] = {
    REQUEST_EXPORT: (_Request, _request),
    CREATE_IMPORT: (dict[str, Any], _create),
    BEGIN_IMPORT: (_Begin, _begin),
    INSERT_ROWS: (_Rows, _insert),
    FINISH_IMPORT: (_Finish, _finish),
    TAKE_BACK_IMPORT: (_TakeBack, _take_back),
    ABORT_IMPORT: (_Abort, _abort),
    SAY: (_Say, _tell),
    INTERRUPT: (_Nothing, _interrupt),
}
