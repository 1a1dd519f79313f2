"""Browsing: what a data browser asks of the owner, and what it has written.

The queries are followed, so each looks at no more than it tells: the list of tables
does not change with their documents. Documents are written by the rules that bind
users' functions, and may be checked by the same rules before they are sent.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.encoding import from_wire
from convexlab.documents.ids import decode_id
from convexlab.documents.value import normalize
from convexlab.engine import backfill
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import INDEXES, SCHEMAS_BY_STATE, TABLES
from convexlab.engine.write_set import BY_CREATION_TIME, by_id_index
from convexlab.errors import CallerError, InvalidArguments, NotFound
from convexlab.functions.analysis import function_specs
from convexlab.functions.module_presence import MODULES_BY_PATH
from convexlab.functions.timetable import book_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.documents.schema import Schema
    from convexlab.documents.value import Value
    from convexlab.engine.table import IndexInfo, TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Revision
    from convexlab.functions.function_spec import FunctionSpec
    from convexlab.functions.system_queries import Question

LIST_TABLES: Final = "_system/frontend/browseTables:default"
LIST_FUNCTIONS: Final = "_system/frontend/browseFunctions:default"
LIST_MODULES: Final = "_system/frontend/browseModules:default"
DOCUMENT: Final = "_system/frontend/getDocument:default"
CHECK: Final = "_system/frontend/checkDocument:default"
ADD: Final = "_system/frontend/addDocument:default"
REPLACE: Final = "_system/frontend/replaceDocument:default"
DELETE: Final = "_system/frontend/deleteDocuments:default"
RUN_NOW: Final = "_system/frontend/runNow:default"

# What users do not write themselves.
_GIVEN: Final = ("_id", "_creationTime")


# -- what there is --------------------------------------------------------------------


def _tables(question: Question) -> Value:
    """Each of the users' tables: its schema's type, and its indexes with their state."""
    tx = question.tx
    for table in (TABLES, INDEXES):
        tx.read_set.record(by_id_index(table) | BY_CREATION_TIME, EVERYTHING)
    tx.read_set.record(SCHEMAS_BY_STATE, EVERYTHING)
    declared = _declared(tx.catalog.schema)
    return [_table(tx, each, declared) for each in tx.catalog.user_tables()]


def _declared(schema: Schema | None) -> dict[str, dict[str, Any]]:
    """What the schema says of each table, as Convex's schema JSON has it."""
    if schema is None:
        return {}
    return {table["tableName"]: table for table in schema.to_json()["tables"]}


def _table(
    tx: Transaction, table: TableInfo, declared: Mapping[str, dict[str, Any]]
) -> Value:
    said = declared.get(table.name)
    indexes = [i for i in (*table.indexes.values(), *table.others) if i.document_id]
    return {
        "name": table.name,
        "documentType": None if said is None else said["documentType"],
        "indexes": [
            *(_index(tx, index) for index in indexes),
            *([] if said is None else _searched(said)),
        ],
    }


def _index(tx: Transaction, index: IndexInfo) -> Value:
    """An index; while it is backfilling, with how many documents it has."""
    is_filling = index.state == "backfilling"
    return {
        **({"filled": backfill.filled(tx, index)} if is_filling else {}),
        "kind": "unique" if index.unique else "database",
        "name": index.name,
        "fields": list(index.fields),
        "state": "staged" if index.staged else index.state,
        "error": index.error,
    }


def _searched(table: Mapping[str, Any]) -> list[Value]:
    """Its search and vector indexes, which followers of the log keep."""
    found: list[Value] = []
    for kind, key, field, state in (
        ("search", "searchIndexes", "searchField", "enabled"),
        ("search", "stagedSearchIndexes", "searchField", "staged"),
        ("vector", "vectorIndexes", "vectorField", "enabled"),
        ("vector", "stagedVectorIndexes", "vectorField", "staged"),
    ):
        for index in table[key]:
            fields = [index[field], *index["filterFields"]]
            name = index["indexDescriptor"]
            told = {"kind": kind, "name": name, "fields": fields, "state": state}
            size = {} if kind == "search" else {"dimensions": index["dimensions"]}
            found.append({**told, **size, "error": None})
    return found


def _functions(question: Question) -> Value:
    """Every function: what the official spec has of it, its docstring and its line."""
    question.tx.read_set.record(MODULES_BY_PATH, EVERYTHING)
    specs = function_specs(question.modules())
    return from_wire(msgspec.json.encode([_function(spec) for spec in specs]))


def _modules(question: Question) -> Value:
    """Where each module came from, and when."""
    question.tx.read_set.record(MODULES_BY_PATH, EVERYTHING)
    found = question.tx.rows(MODULES_BY_PATH, EVERYTHING)
    return [_module(revision) for _, revision in found]


def _module(revision: Revision) -> Value:
    """A module, with the push that last changed it or moved it to another place.

    N.B. the document's own `pushedAt` is of its source: the clock as the module sees it
    while it loads, which another place does not turn.
    """
    document = revision.document
    return {
        "path": document["path"],
        "origin": from_wire(document["origin"].encode()) or None,
        "pushedAt": revision.ts / 1e6,
    }


def _function(spec: FunctionSpec) -> dict[str, Any]:
    told = {"module": spec.module, "name": spec.name, "kind": spec.kind}
    described = {"description": spec.description, "line": spec.line}
    return {**spec.to_json(), **told, **described}


def _document(question: Question) -> Value:
    """One document as it is now; None if there is none of that id."""
    document_id = question.args.get("id")
    if not isinstance(document_id, str):
        raise InvalidArguments("`id` is missing: which document?")
    return question.tx.get(*decode_id(document_id))


def _check(question: Question) -> Value:
    """Why a document could not be stored; None if it could."""
    name, document = question.args.get("table"), question.args.get("document")
    if not isinstance(name, str) or not isinstance(document, dict):
        raise InvalidArguments("`table` and `document` say what is to be checked.")
    table = question.tx.table(name)
    question.tx.read_set.record(SCHEMAS_BY_STATE, EVERYTHING)
    try:
        normalize(document)
        for check in () if table is None else (table.check, table.check_pending):
            if check is not None:
                check(document)
    except CallerError as error:
        return str(error)
    return None


QUERIES: Final[dict[str, Callable[[Question], Value]]] = {
    LIST_TABLES: _tables,
    LIST_FUNCTIONS: _functions,
    LIST_MODULES: _modules,
    DOCUMENT: _document,
    CHECK: _check,
}


# -- what is written ------------------------------------------------------------------


class _Add(msgspec.Struct, frozen=True):
    """Documents for a table."""

    table: str
    documents: list[dict[str, Any]]


class _Replace(msgspec.Struct, frozen=True):
    """A document as it is to be; what it was when it was looked at, if that matters."""

    id: str
    document: dict[str, Any]
    before: dict[str, Any] | None = None


class _Deleted(msgspec.Struct, frozen=True):
    """One of the documents to delete."""

    id: str


class _Delete(msgspec.Struct, frozen=True, rename="camel"):
    """Documents to delete, all of them or none."""

    to_delete: list[_Deleted]


class _RunNow(msgspec.Struct, frozen=True):
    """A scheduled function, or a cron job."""

    id: str


def _add(tx: Transaction, args: _Add, *_: object) -> Value:
    """Insert; the ids."""
    return list(tx.insert_many(args.table, map(_written, args.documents)))


def _replace(tx: Transaction, args: _Replace, *_: object) -> None:
    """Set a document's fields.

    Raises:
        InvalidArguments: somebody changed it since it was looked at.
    """
    if args.before is not None:
        number, internal_id = decode_id(args.id)
        now = tx.get(number, internal_id)
        if now is None:
            raise NotFound(f"The document {args.id} has been deleted meanwhile.")
        if _written(now) != _written(args.before):
            raise InvalidArguments(
                f"The document {args.id} has been changed meanwhile: look at it as it "
                "is now, and edit that."
            )
    tx.replace(args.id, _written(args.document))


def _written(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _GIVEN}


def _delete(tx: Transaction, args: _Delete, *_: object) -> None:
    """Delete; one that is gone already is none the worse for it."""
    for each in args.to_delete:
        with suppress(NotFound):
            tx.delete(each.id)


def _run_now(tx: Transaction, args: _RunNow, *_: object) -> None:
    """Let something be due at once that would be due later."""
    book_of(args.id).hurry(tx, args.id)


MUTATIONS: Final[dict[str, tuple[Any, Callable[..., Value]]]] = {
    ADD: (_Add, _add),
    REPLACE: (_Replace, _replace),
    DELETE: (_Delete, _delete),
    RUN_NOW: (_RunNow, _run_now),
}
