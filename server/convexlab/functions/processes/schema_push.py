"""The writer's part of a push: declare, fill, switch; or take back.

begin ─▶ declared: tables, a pending schema, indexes that every commit keeps up
     ─▶ filling, in slices between groups ─▶ answered
finish ─▶ one transaction: schema, indexes, modules, crons
abort ─▶ the pending schema has failed, the new indexes go
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.ordering import encode_key
from convexlab.documents.schema import Schema
from convexlab.engine import backfill, definitions
from convexlab.engine.interval import Interval
from convexlab.engine.system_tables import SCHEMAS_BY_STATE
from convexlab.errors import SchemaViolation
from convexlab.functions import cron_runs, settings
from convexlab.functions.crons import CronSpec
from convexlab.functions.processes.deployed import write_sources
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.messages import (
    AbortPush,
    Answer,
    BeginPush,
    FinishPush,
    Message,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab.documents.indexes import IndexDefinition
    from convexlab.engine.committer import Committer
    from convexlab.engine.table import IndexInfo, TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.errors import Unavailable

_FAILED: Final = Interval.prefix(encode_key("failed"))
_decode_crons: Final = msgspec.json.Decoder(list[CronSpec]).decode


class SchemaPush:
    """The one push that may be under way.

    Args:
        committer: through which it commits.
        splay: how many seconds after the clock's slot each cron runs.
    """

    def __init__(
        self,
        committer: Committer,
        *,
        splay: Callable[[CronSpec], int] = cron_runs.splay_of,
    ) -> None:
        self._committer = committer
        self._splay = splay
        self._waiting: int | None = None  # a BeginPush whose indexes fill
        self._schema = Schema()  # of that push
        self._work_is_due = True  # what an earlier writer left unfinished

    @property
    def has_work(self) -> bool:
        """Whether a slice is to be done."""
        return self._work_is_due

    def work_is_due(self) -> None:
        """There is something to fill, sweep or clear."""
        self._work_is_due = True

    def take(self, message: Message) -> bytes | None:
        """Begin or abort a push; None when the answer comes later."""
        match message:
            case BeginPush():
                self._schema = Schema.from_json(_read(message.schema))
                self._begin(self._schema)
                self._waiting = message.number
                self._work_is_due = True
                return None
            case AbortPush():
                self._abort()
                self._work_is_due = True
                return b"{}"
            case _:
                raise AssertionError(f"the writer does not take {message}")

    def do_slice(self) -> list[Answer]:
        """Fill, sweep or clear a little; the answers that it leads to."""
        self._work_is_due = backfill.work_slice(self._committer)
        if self._waiting is None or self._is_filling():
            return []
        number, self._waiting = self._waiting, None
        failed = self._failed_index()
        if failed is not None:
            why = SchemaViolation(failed.error or "The index could not be built.")
            return [Answer(number, b"", failure_from(why))]
        return [Answer(number, b"{}")]

    def give_up(self, error: Unavailable) -> list[Answer]:
        """What was done last never was; the refusals that it leads to."""
        self._work_is_due = True
        number, self._waiting = self._waiting, None
        return [] if number is None else [Answer(number, b"", failure_from(error))]

    def finish(self, message: FinishPush) -> None:
        """Switch, in one transaction.

        Raises:
            SchemaViolation: a live write broke the pending schema meanwhile.
        """
        tx = self._committer.begin(system=True)
        schema = Schema.from_json(_read(message.schema))
        self._require_pending(tx, schema)
        for table in tx.catalog.user_tables():
            self._switch_indexes(tx, table, schema)
        if tx.catalog.pending_id is not None:
            definitions.activate_schema(tx)
        write_sources(tx, message.sources)
        settings.set_settings(tx, {settings.AUTH_CONFIG: message.auth.decode()})
        cron_runs.switch(tx, _decode_crons(message.crons), splay=self._splay)
        self._committer.accept(tx.finish())
        self._work_is_due = True

    # -- begin ---------------------------------------------------------------------

    def _begin(self, schema: Schema) -> None:
        active = self._committer.catalog.schema
        tx = self._committer.begin(system=True)
        if active is None or active.to_json() != schema.to_json():
            definitions.declare_schema(tx, schema)
        else:  # what an unfinished push has left must not be switched to
            definitions.supersede_pending_schema(tx)
        for index in tx.catalog.indexes():
            if index.state == "failed":  # in an earlier push: it is tried again
                definitions.drop_index(tx, index)
        for name, table in schema.tables.items():
            for wanted in table.indexes:
                if _same(tx.catalog.tables[name], wanted) is None:
                    definitions.create_index(
                        tx,
                        name,
                        wanted.name,
                        wanted.fields,
                        unique=wanted.unique,
                        staged=wanted.staged,
                        enable=False,
                    )
        self._committer.accept(tx.finish())

    def _is_filling(self) -> bool:
        """Whether an index is incomplete that the push lets queries use."""
        return any(
            index.state == "backfilling" and wanted is not None and not wanted.staged
            for index, wanted in self._unused_indexes(self._schema)
        )

    def _failed_index(self) -> IndexInfo | None:
        """An index of the push that cannot be built."""
        for index, _ in self._unused_indexes(self._schema):
            definition = self._definition(self._schema, index)
            if index.state == "failed" and definition and not definition.staged:
                return index
        return None

    def _unused_indexes(
        self, schema: Schema
    ) -> Iterator[tuple[IndexInfo, IndexDefinition | None]]:
        """The indexes that queries do not use yet, and what a schema wants of each."""
        for index in self._committer.catalog.indexes():
            if index.state in ("backfilling", "backfilled", "failed"):
                wanted = self._definition(schema, index)
                fits = wanted is not None and _matches(index, wanted)
                yield index, wanted if fits else None

    def _definition(self, schema: Schema, index: IndexInfo) -> IndexDefinition | None:
        """What a schema says of the index of that name."""
        table = schema.tables.get(self._committer.catalog.by_number[index.table].name)
        for definition in table.indexes if table is not None else ():
            if definition.name == index.name:
                return definition
        return None

    # -- finish ----------------------------------------------------------------------

    def _require_pending(self, tx: Transaction, schema: Schema) -> None:
        catalog = tx.catalog
        expected = catalog.schema if catalog.pending is None else catalog.pending
        if expected is None or expected.to_json() != schema.to_json():
            raise SchemaViolation(
                self._why_failed(tx) or "Schema was overwritten by another push."
            )

    def _why_failed(self, tx: Transaction) -> str | None:
        """What the newest schema that failed says."""
        failed: list[str] = [
            revision.document["error"]
            for _, revision in tx.rows(SCHEMAS_BY_STATE, _FAILED)
        ]
        return failed[-1] if failed else None

    def _switch_indexes(
        self, tx: Transaction, table: TableInfo, schema: Schema
    ) -> None:
        """Enable what the schema has, drop what it has not."""
        definition = schema.tables.get(table.name)
        wanted = {i.name: i for i in definition.indexes} if definition else {}
        for index in [*table.indexes.values(), *table.others]:
            if not index.document_id or index.state == "dropping":
                continue
            target = wanted.get(index.name)
            if target is None or not _matches(index, target):
                definitions.drop_index(tx, index)
                continue
            if index.staged != target.staged:
                definitions.set_index_staged(tx, index, staged=target.staged)
            if index.state == "backfilled":
                definitions.set_index_state(tx, index, "enabled")

    # -- abort -----------------------------------------------------------------------

    def _abort(self) -> None:
        self._waiting = None
        tx = self._committer.begin(system=True)
        definitions.fail_pending_schema(tx, "The push was given up.")
        for index, deployed in self._unused_indexes(tx.catalog.schema or Schema()):
            if deployed is None:
                definitions.drop_index(tx, index)
        self._committer.accept(tx.finish())


def _read(schema: bytes) -> dict[str, Any]:
    """A schema's JSON; no schema is one without tables that checks nothing."""
    empty = {"tables": [], "schemaValidation": False}
    found: dict[str, Any] | None = msgspec.json.decode(schema)
    return empty if found is None else found


def _same(table: TableInfo, wanted: IndexDefinition) -> IndexInfo | None:
    """The index that a definition already has."""
    for index in [*table.indexes.values(), *table.others]:
        if index.name == wanted.name and _matches(index, wanted):
            return index
    return None


def _matches(index: IndexInfo, wanted: IndexDefinition) -> bool:
    return (
        index.is_kept
        and index.fields == tuple(wanted.fields)
        and index.unique == wanted.unique
    )
