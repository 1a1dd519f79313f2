"""The system's own queries: what command lines and data browsers ask of the owner.

They are named as the official tools name them, run where users' queries run, and
record what they look at, so that whoever follows one hears of every change. They run
no user code, and only holders of the admin key reach them.

Those that need nothing that users lack are written as users write theirs: see the
folder `system`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.encoding import from_wire
from convexlab.documents.value import Int64
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import SCHEMAS_BY_STATE, TABLES
from convexlab.engine.write_set import BY_CREATION_TIME, by_id_index
from convexlab.errors import InvalidArguments, NotFound
from convexlab.functions import (
    browsing,
    embedding_documents,
    file_documents,
    settings,
    sql,
    transfers,
    variables,
)
from convexlab.functions.analysis import function_specs
from convexlab.functions.module_presence import MODULES_BY_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.documents.schema import Schema
    from convexlab.documents.value import Value
    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.functions.modules import ModuleSet

CLOUD_URL: Final = "_system/cli/convexUrl:cloudUrl"
SITE_URL: Final = "_system/cli/convexUrl:siteUrl"
UNREFERENCED: Final = "_system/storage/files:unreferenced"
_ROOT: Final[dict[str, Any]] = {
    "id": "",
    "name": None,
    "path": "",
    "args": {},
    "state": "active",
    "httpPrefix": None,
}


def _ask_nobody(name: str, request: bytes) -> bytes:
    del request
    raise NotFound(f"There is no {name} index here.")


@dataclass(frozen=True, slots=True)
class Question:
    """One query: what it looks at, and its arguments.

    Attributes:
        tx: a transaction without limits.
        args: as they came.
        modules: the deployed ones; loaded when asked for.
        ask: asks a derived index, as of the transaction's snapshot.
    """

    tx: Transaction
    args: dict[str, Any]
    modules: Callable[[], ModuleSet]
    ask: Callable[[str, bytes], bytes] = _ask_nobody

    def table(self) -> TableInfo:
        """The table that the arguments name; that it is there is recorded.

        Raises:
            NotFound: there is none.
        """
        name = self.args.get("tableName")
        if not isinstance(name, str):
            raise InvalidArguments("`tableName` is missing: which table?")
        found = self.tx.table(name)
        if found is None:
            raise NotFound(f"There is no table `{name}`.")
        return found


def answer(path: str, question: Question) -> Value:
    """What a query says.

    Raises:
        CallerError: there is nothing to say to this.
    """
    return QUERIES[path](question)


def _tables(question: Question) -> Value:
    """The users' tables, as one page."""
    tx = question.tx
    tx.read_set.record(by_id_index(TABLES) | BY_CREATION_TIME, EVERYTHING)
    page: list[Value] = [{"name": each.name} for each in tx.catalog.user_tables()]
    return {"page": page, "isDone": True, "continueCursor": "end"}


def _table_size(question: Question) -> Value:
    """How many documents a table has."""
    return float(question.tx.count(question.table().by_creation_time))


def _table_version(question: Question) -> Value:
    """A value that is another one whenever the table is."""
    question.tx.read_set.record(question.table().by_creation_time.id, EVERYTHING)
    return Int64(question.tx.ts)


def _sql_version(question: Question) -> Value:
    """A value that is another one whenever the rows of a statement may be others."""
    params = question.args.get("params", [])
    return sql.sql_version(question.tx, question.ask, question.args["sql"], params)


def _functions(question: Question) -> Value:
    """The official function spec's items."""
    question.tx.read_set.record(MODULES_BY_PATH, EVERYTHING)
    specs = function_specs(question.modules())
    return from_wire(msgspec.json.encode([spec.to_json() for spec in specs]))


def _cloud_url(question: Question) -> Value:
    """The deployment's address."""
    return settings.address(question.tx, settings.CLOUD_URL)


def _site_url(question: Question) -> Value:
    """Where its HTTP actions are."""
    return settings.address(question.tx, settings.SITE_URL)


def _latest_export(question: Question) -> Value:
    """The newest export; None before the first."""
    return transfers.latest_export(question.tx)


def _exports(question: Question) -> Value:
    """All exports, newest first."""
    return list(transfers.exports(question.tx))


def _imports(question: Question) -> Value:
    """All imports, newest first."""
    return list(transfers.imports(question.tx))


def _import(question: Question) -> Value:
    """One import."""
    return transfers.import_of(question.tx, question.args.get("importId"))


def _schemas(question: Question) -> Value:
    """The schema that holds, and the one being pushed: JSON texts."""
    question.tx.read_set.record(SCHEMAS_BY_STATE, EVERYTHING)
    catalog = question.tx.catalog
    return {"active": _text(catalog.schema), "inProgress": _text(catalog.pending)}


def _text(schema: Schema | None) -> str | None:
    return None if schema is None else json.dumps(schema.to_json())


def _components(_: Question) -> Value:
    """There is one component, the root."""
    return [dict(_ROOT)]


def _unreferenced(question: Question) -> Value:
    """Those of some digests, in base64, that no file has."""
    return list(file_documents.unreferenced(question.tx, question.args["digests"]))


def _to_embed(question: Question) -> Value:
    """The texts whose embeddings are to be made; nobody follows it."""
    return list(embedding_documents.read(question.tx, question.args))


QUERIES: Final[dict[str, Callable[[Question], Value]]] = {
    "_system/cli/tables:default": _tables,
    "_system/cli/tableSize:default": _table_size,
    "_system/cli/queryTable:default": _table_version,
    "_system/sql/version:default": _sql_version,
    "_system/cli/modules:apiSpec": _functions,
    CLOUD_URL: _cloud_url,
    SITE_URL: _site_url,
    "_system/cli/exports:getLatest": _latest_export,
    "_system/cli/exports:list": _exports,
    "_system/cli/queryImport:default": _import,
    "_system/cli/queryImport:list": _imports,
    UNREFERENCED: _unreferenced,
    "_system/frontend/getSchemas:default": _schemas,
    "_system/frontend/components:list": _components,
    embedding_documents.READ: _to_embed,
    **browsing.QUERIES,
    **variables.QUERIES,
}
