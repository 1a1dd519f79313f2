"""Random schemas, documents and operations, against a dict, on both stores."""

from __future__ import annotations

import shutil
import tempfile
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from convexlab.documents.document import index_key
from convexlab.documents.equality import values_equal
from convexlab.documents.ids import decode_id
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.engine import prepared
from convexlab.engine.audit import audit
from convexlab.engine.backfill import work_slice
from convexlab.engine.committer import CommitGroup, Committer
from convexlab.engine.definitions import create_index, drop_index
from convexlab.engine.interval import Interval
from convexlab.engine.persistence import sqlite_bulk
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.engine.retention import Retention, trim_slice
from convexlab.engine.snapshot import snapshot_at

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from convexlab.engine.table import IndexInfo
    from convexlab.engine.transaction import Transaction

TABLES = ("t", "u")
FIELDS = ("a", "b")
INDEXES = {"by_a": ("a",), "by_ba": ("b", "a"), "by_deep": ("a.x",)}

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([1.0, -0.0, 1.5, Int64(1), Int64(-300)]),
    st.sampled_from(["", "x", "x\0", "y"]),
    st.just(b"\0"),
    st.lists(st.integers(0, 1), max_size=2),
    st.dictionaries(st.just("x"), st.integers(0, 1)),
)
fields = st.dictionaries(st.sampled_from(FIELDS), values)
patches = st.dictionaries(st.sampled_from(FIELDS), values | st.just(UNDEFINED))

Model = dict[str, dict[str, dict[str, Any]]]  # table → id → document


class Broken(Exception):
    """The end of a transaction that is given up."""


class Database(RuleBasedStateMachine):
    """A database and what it should hold."""

    sqlite = False

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="convexlab-model-"))
        self.persistence: Any = self._store()
        self.random = Random(0)
        self.time = 1_700_000_000_000_000_000
        self.committer = self._committer()
        self.model: Model = {}
        self.indexes: dict[tuple[str, str], bool] = {}
        self.past: dict[int, Model] = {}
        self.in_flight: CommitGroup | None = None
        self.durable: Model = {}
        self.applied: Model = {}

    def _store(self) -> Any:
        return SqlitePersistence(self.folder) if self.sqlite else MemoryPersistence()

    def _committer(self) -> Committer:
        return Committer(
            self.persistence, now_ns=self._now, random_bytes=self.random.randbytes
        )

    def _now(self) -> int:
        self.time += 1_000_000
        return self.time

    def teardown(self) -> None:
        if hasattr(self, "persistence"):
            self._settle()
            self.persistence.check()
            audit(self.persistence)
            self.persistence.close()
            shutil.rmtree(self.folder)

    # -- writing ----------------------------------------------------------------

    @rule(
        data=st.data(),
        count=st.integers(1, 4),
        ends=st.sampled_from(["commit", "commit", "give up", "roll back half"]),
    )
    def transact(self, data: st.DataObject, count: int, ends: str) -> None:
        tx = self.committer.begin()
        after = _copy(self.model)
        for step in range(count):
            if ends == "roll back half" and step % 2:
                try:
                    with tx.savepoint():
                        self._write(tx, _copy(after), data)
                        raise Broken
                except Broken:
                    continue
            self._write(tx, after, data)
        self._compare(tx, after, data)
        if ends == "give up":
            return
        self.committer.accept(tx.finish())
        self.model = after
        self.past[self.committer.ts] = _copy(after)

    @rule(data=st.data(), count=st.integers(3, 8))
    def transact_more(self, data: st.DataObject, count: int) -> None:
        tx = self.committer.begin()
        for _ in range(count):
            self._write(tx, self.model, data)
        self.committer.accept(tx.finish())
        self.past[self.committer.ts] = _copy(self.model)

    def _write(self, tx: Any, after: Model, data: st.DataObject) -> None:
        table = data.draw(st.sampled_from(TABLES))
        documents = after.setdefault(table, {})
        kind = data.draw(
            st.sampled_from(["insert", "insert", "patch", "replace", "delete"])
        )
        if kind == "insert" or not documents:
            given = data.draw(fields)
            document_id = tx.insert(table, given)
            created = tx.get(*decode_id(document_id))["_creationTime"]
            documents[document_id] = {
                **given,
                "_id": document_id,
                "_creationTime": created,
            }
            return
        document_id = data.draw(st.sampled_from(sorted(documents)))
        before = documents[document_id]
        if kind == "delete":
            tx.delete(document_id)
            del documents[document_id]
        elif kind == "replace":
            given = data.draw(fields)
            tx.replace(document_id, given)
            kept = {k: v for k, v in before.items() if k.startswith("_")}
            documents[document_id] = {**given, **kept}
        else:
            given = data.draw(patches)
            tx.patch(document_id, given)
            merged = {**before, **given}
            documents[document_id] = {
                k: v for k, v in merged.items() if v is not UNDEFINED
            }

    @rule(data=st.data(), count=st.integers(1, 5))
    def insert_prepared(self, data: st.DataObject, count: int) -> None:
        table = data.draw(st.sampled_from(TABLES))
        documents = [data.draw(fields) for _ in range(count)]
        made = prepared.prepare(
            self.committer.catalog,
            table,
            documents,
            random_bytes=self.random.randbytes,
            now_ns=self.time,
        )
        if made is None:
            return
        tx = self.committer.begin()
        assert prepared.insert(tx, made)
        after = _copy(self.model)
        for internal_id, given in zip(made.ids, documents, strict=True):
            found = tx.get(made.table, internal_id)
            assert found is not None
            names = {name: found[name] for name in ("_id", "_creationTime")}
            after.setdefault(table, {})[found["_id"]] = {**given, **names}
        self._compare(tx, after, data)
        self.committer.accept(tx.finish())
        self.model = after
        self.past[self.committer.ts] = _copy(after)

    # -- reading ----------------------------------------------------------------

    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        self._compare(self.committer.begin(writable=False), self.model, data)

    def _compare(self, tx: Any, model: Model, data: st.DataObject) -> None:
        table = data.draw(st.sampled_from(TABLES))
        info = tx.table(table)
        if info is None:
            assert not model.get(table)
            return
        for document_id, document in model.get(table, {}).items():
            assert values_equal(tx.get(*decode_id(document_id)), document)
        name = data.draw(st.sampled_from(sorted(info.indexes)))
        expected = _ordered(info.indexes[name], model.get(table, {}))
        interval, reverse = _interval(expected, data), data.draw(st.booleans())
        found = list(tx.range(info.indexes[name], interval, reverse=reverse, expect=2))
        _same(found, expected, interval, reverse=reverse)
        assert tx.count(info.indexes[name], interval) == len(found)
        limit = data.draw(st.none() | st.integers(1, 4))
        _same_in_one_go(tx, info.indexes[name], interval, reverse=reverse, limit=limit)

    @rule(data=st.data())
    @precondition(lambda self: self.past)
    def read_the_past(self, data: st.DataObject) -> None:
        reached = [ts for ts in self.past if ts <= self.committer.durable_ts]
        with self.persistence.snapshot() as base:
            reached = [ts for ts in reached if ts >= base.meta.history_from]
            if not reached:
                return
            ts = data.draw(st.sampled_from(reached))
            table = data.draw(st.sampled_from(TABLES))
            info = self.committer.catalog.tables.get(table)
            if info is None:
                return
            expected = _ordered(info.by_creation_time, self.past[ts].get(table, {}))
            interval, reverse = _interval(expected, data), data.draw(st.booleans())
            with snapshot_at(base, ts) as snapshot:
                found = [
                    (key, revision.document)
                    for key, revision in snapshot.rows(
                        info.by_creation_time.id, interval, reverse=reverse
                    )
                ]
            _same(found, expected, interval, reverse=reverse)

    @rule(data=st.data())
    @precondition(lambda self: self.past)
    def read_the_past_through_history(self, data: st.DataObject) -> None:
        with self.persistence.snapshot() as base:
            reached = [
                ts
                for ts in self.past
                if base.meta.history_from <= ts <= base.meta.last_ts
            ]
            if not reached:
                return
            ts = data.draw(st.sampled_from(reached))
            table = data.draw(st.sampled_from(TABLES))
            info = self.committer.catalog.tables.get(table)
            if info is None:
                return
            usable = sorted(
                name
                for name in info.indexes
                if self.indexes.get((table, name)) is not False
                and ts >= self._enabled_at.get((table, name), 0)
            )
            index = info.indexes[data.draw(st.sampled_from(usable))]
            expected = _ordered(index, self.past[ts].get(table, {}))
            interval, reverse = _interval(expected, data), data.draw(st.booleans())
            limit = data.draw(st.integers(1, 9))
            found = base.range_at(
                index.id,
                interval.start,
                interval.end,
                ts=ts,
                reverse=reverse,
                limit=limit,
            )
            inside = [row for row in expected if interval.contains(row[0])]
            inside = inside[::-1] if reverse else inside
            assert [key for key, _ in found] == [key for key, _ in inside][:limit]
            for (_, revision), (_, document) in zip(found, inside, strict=False):
                assert values_equal(revision.document, document)

    # -- making durable ---------------------------------------------------------

    @rule()
    @precondition(lambda self: self.in_flight is None)
    def apply(self) -> None:
        self.in_flight = self.committer.apply()
        self.applied = _copy(self.model)

    @rule()
    @precondition(lambda self: self.in_flight is not None)
    def flush(self) -> None:
        assert self.in_flight is not None
        self.committer.flush(self.in_flight)
        self.committer.durable(self.in_flight)
        self.in_flight = None
        self.durable = self.applied

    @rule()
    def find_the_disk_full(self) -> None:
        if self.in_flight is not None and self.sqlite:
            self.persistence._write.execute("ROLLBACK")
        self.in_flight = None
        self.committer.give_up("no room")
        self.model = _copy(self.durable)
        durable_ts = self.committer.durable_ts
        self.past = {ts: model for ts, model in self.past.items() if ts <= durable_ts}

    def _settle(self) -> None:
        if self.in_flight is not None:
            self.flush()
        self.committer.settle_all()
        self.durable = _copy(self.model)

    @rule()
    def restart(self) -> None:
        if not self.sqlite:
            return
        self._settle()
        ts = self.committer.ts
        self.persistence.check()
        self.persistence.close()
        self.persistence = self._store()
        self.committer = self._committer()
        assert self.committer.ts == ts

    # -- indexes and retention ----------------------------------------------------

    @rule(table=st.sampled_from(TABLES), name=st.sampled_from(sorted(INDEXES)))
    def add_index(self, table: str, name: str) -> None:
        info = self.committer.catalog.tables.get(table)
        if info and any(i.name == name for i in (*info.indexes.values(), *info.others)):
            return
        tx = self.committer.begin(system=True)
        create_index(tx, table, name, INDEXES[name])
        self.committer.accept(tx.finish())
        self._enabled_at[table, name] = self.committer.ts
        self.past[self.committer.ts] = _copy(self.model)

    @rule(table=st.sampled_from(TABLES), name=st.sampled_from(sorted(INDEXES)))
    def remove_index(self, table: str, name: str) -> None:
        info = self.committer.catalog.tables.get(table)
        if info is None or name not in info.indexes:
            return
        tx = self.committer.begin(system=True)
        drop_index(tx, info.indexes[name])
        self.committer.accept(tx.finish())

    @rule()
    def backfill(self) -> None:
        before = self.committer.catalog
        work_slice(self.committer)
        for table in self.committer.catalog.user_tables():
            for name in table.indexes:
                if name not in before.tables[table.name].indexes:
                    self._enabled_at[table.name, name] = self.committer.ts

    @rule()
    def trim(self) -> None:
        nothing_kept = Retention(
            log_seconds=0, history_seconds=0, history_bytes=0, session_seconds=0
        )
        trim_slice(self.committer, nothing_kept, now_ns=self._now)

    @property
    def _enabled_at(self) -> dict[tuple[str, str], int]:
        if not hasattr(self, "_enabled"):
            self._enabled: dict[tuple[str, str], int] = {}
        return self._enabled

    @invariant()
    def nothing_is_seen_before_it_is_durable(self) -> None:
        if not hasattr(self, "persistence"):
            return
        with self.persistence.snapshot() as snapshot:
            assert snapshot.meta.last_ts == self.committer.durable_ts


def _copy(model: Model) -> Model:
    return {table: dict(documents) for table, documents in model.items()}


def _ordered(index: Any, documents: dict[str, Any]) -> list[tuple[bytes, Any]]:
    def key(document: dict[str, Any]) -> bytes:
        internal_id = decode_id(document["_id"])[1]
        if index.name == "by_id":
            return internal_id
        return index_key(index.fields, document, internal_id)

    return sorted(
        ((key(document), document) for document in documents.values()),
        key=lambda row: row[0],
    )


def _interval(expected: list[tuple[bytes, Any]], data: st.DataObject) -> Interval:
    some = [key for key, _ in expected]
    bounds = st.sampled_from([b"", *some])
    start = data.draw(bounds)
    end = data.draw(st.none() | bounds)
    return Interval(start, end)


def _same_in_one_go(
    tx: Transaction,
    index: IndexInfo,
    interval: Interval,
    *,
    reverse: bool,
    limit: int | None,
) -> None:
    """`documents` gives, records and counts what `range` does."""
    ways: list[Callable[[], list[Any]]] = [
        lambda: [
            d for _, d in islice(tx.range(index, interval, reverse=reverse), limit)
        ],
        lambda: tx.documents(index, interval, reverse=reverse, limit=limit),
    ]
    seen = []
    for step in ways:
        usage = tx.usage.documents_read, tx.usage.bytes_read
        found = step()
        used = tx.usage.documents_read - usage[0], tx.usage.bytes_read - usage[1]
        consumed = tx.read_set._ranges[index.id, None][-1].consumed
        seen.append((found, consumed, used))
    one, other = seen
    assert all(map(values_equal, one[0], other[0]))
    assert (len(one[0]), *one[1:]) == (len(other[0]), *other[1:])
    if limit is None:
        assert tx.count(index, interval) == len(one[0])


def _same(
    found: list[tuple[bytes, Any]],
    expected: list[tuple[bytes, Any]],
    interval: Interval,
    *,
    reverse: bool,
) -> None:
    inside = [row for row in expected if interval.contains(row[0])]
    if reverse:
        inside.reverse()
    assert [key for key, _ in found] == [key for key, _ in inside]
    for (_, one), (_, other) in zip(found, inside, strict=True):
        assert values_equal(one, other)


class OnSqlite(Database):
    sqlite = True


FEW = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_memory_is_a_dict():
    run_state_machine_as_test(Database, settings=FEW)


def test_sqlite_is_a_dict():
    run_state_machine_as_test(OnSqlite, settings=FEW)


def test_sqlite_is_a_dict_however_documents_are_inserted(
    monkeypatch: pytest.MonkeyPatch,
):
    """All that inserts and nothing else goes the way of bulk inserts."""
    monkeypatch.setattr(sqlite_bulk, "BULK_DOCUMENTS", 1)
    run_state_machine_as_test(OnSqlite, settings=FEW)
