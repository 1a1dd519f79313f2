"""Random schemas, documents, writes and queries, against dicts, on both stores.

What a mutation may write its schema says, what a query finds a naive sort says, and
a schema is pushed in the middle of it all, step by step. Own writes show in every
way of reading, and what is rolled back shows in none.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.documents.strategies import fitting, identifiers, validators
from tests.functions.naive import Document, Fields, are_same, searches

from convexlab import knobs
from convexlab.documents.document import get_path
from convexlab.documents.equality import values_equal
from convexlab.documents.indexes import may_hold
from convexlab.documents.schema import Schema, define_schema, define_table
from convexlab.documents.v import v
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.engine.audit import audit
from convexlab.engine.backfill import SchemaCheck
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.errors import CallerError, NotFound, SchemaViolation
from convexlab.functions import determinism
from convexlab.functions.context import MutationCtx
from convexlab.functions.execution import Execution, NoClock
from convexlab.functions.modules import ModuleSet
from convexlab.functions.processes.messages import AbortPush, BeginPush, FinishPush
from convexlab.functions.processes.schema_push import SchemaPush

if TYPE_CHECKING:
    from convexlab.documents.validator import Validator

# In the order in which they are made, so that ids of `strategies` belong to them.
TABLES = ("users", "tasks")
NUMBERS = {"users": 10001, "tasks": 10002}
SYSTEM = ("_id", "_creationTime")

# Few enough values that documents meet in indexes.
few_numbers = st.sampled_from([0, 1, 1.0, -0.0, 2.5, float("nan")])
few_int64s = st.sampled_from([Int64(0), Int64(1), Int64(-300)])
few_texts = st.sampled_from(["", "a", "a\0", "b"])
few = st.one_of(st.none(), st.booleans(), few_numbers, few_int64s, few_texts)
few_values = st.one_of(
    few,
    few,
    st.sampled_from([b"", b"\0"]),
    st.lists(few, max_size=2),
    st.dictionaries(st.sampled_from("ab"), few, max_size=2),
)
ATOMS: dict[str, st.SearchStrategy[object]] = {
    "null": st.none(),
    "number": few_numbers,
    "bigint": few_int64s,
    "commitTs": few_int64s,
    "boolean": st.booleans(),
    "string": few_texts,
    "bytes": st.sampled_from([b"", b"\0"]),
    "any": few_values,
}
loose = st.dictionaries(identifiers, few_values, max_size=4)
PATHS = ("a", "b", "c", "name", "a.b", "b.a")

roomy = st.sampled_from(
    [
        v.any(),
        v.optional(v.any()),
        v.optional(v.union(v.number(), v.string(), v.null())),
        v.optional(v.object({"b": v.optional(v.any())})),
        v.optional(v.int64()),
    ]
)
fields_of_tables = st.dictionaries(
    identifiers,
    st.one_of(roomy, roomy, validators, validators.map(v.optional)),
    min_size=1,
    max_size=4,
)
document_validators = st.one_of(
    st.just(v.any()),
    fields_of_tables.map(v.object),
    fields_of_tables.map(v.object),
    st.lists(fields_of_tables.map(v.object), min_size=1, max_size=2).map(
        lambda members: v.union(*members)
    ),
)


class GivenUp(Exception):
    """The end of a sub-transaction that is rolled back."""


@dataclass
class Shape:
    """What a schema says: a validator for each table, indexes, and whether it is meant."""

    validators: dict[str, Validator] = field(default_factory=dict)
    indexes: dict[str, dict[str, tuple[Fields, bool]]] = field(default_factory=dict)
    validation: bool = True

    def schema(self) -> Schema:
        tables = {}
        for name, validator in self.validators.items():
            table = define_table(validator)
            for index, (paths, unique) in self.indexes[name].items():
                table.index(index, paths, unique=unique)
            tables[name] = table
        return define_schema(tables, schema_validation=self.validation)

    def accepts(self, table: str, document: Document) -> bool:
        validator = self.validators.get(table)
        if validator is None or not self.validation:
            return True
        users = {k: x for k, x in document.items() if k not in SYSTEM}
        return validator.fits(NUMBERS)(users)

    def equals(self, table: str, document: Document, others: list[Document]) -> bool:
        """Whether a unique index has another document like it."""
        for paths, unique in self.indexes.get(table, {}).values():
            mine = [get_path(document, path) for path in paths]
            if not unique or any(value is UNDEFINED for value in mine):
                continue
            for other in others:
                theirs = [get_path(other, path) for path in paths]
                if other["_id"] != document["_id"] and all(
                    value is not UNDEFINED and values_equal(value, its)
                    for value, its in zip(theirs, mine, strict=True)
                ):
                    return True
        return False

    def refuses_some(self, model: Model) -> bool:
        return any(
            not self.accepts(table, document)
            or self.equals(table, document, list(documents.values()))
            for table, documents in model.items()
            for document in documents.values()
        )


Model = dict[str, dict[str, Document]]


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    shape = Shape(validation=draw(st.sampled_from([True, True, False])))
    for table in draw(st.sets(st.sampled_from(TABLES), min_size=1)):
        validator = draw(document_validators)
        shape.validators[table] = validator
        possible = [
            path
            for path in PATHS
            if not shape.validation or may_hold(validator, path.split("."))
        ]
        shape.indexes[table] = {}
        if possible:
            some = st.lists(
                st.sampled_from(possible), min_size=1, max_size=3, unique=True
            )
            many = draw(st.lists(some.map(tuple), min_size=1, max_size=3, unique=True))
            for number, paths in enumerate(many):
                unique = draw(st.sampled_from([False, False, True]))
                shape.indexes[table][f"by_{number}"] = (paths, unique)
    return shape


class Life(RuleBasedStateMachine):
    """A deployment's database, and what it should hold."""

    sqlite = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="convexlab-life-"))
        self.store: Any = (
            SqlitePersistence(self.folder) if self.sqlite else MemoryPersistence()
        )
        self.chance = Random(0)
        self.time = 1_700_000_000_000_000_000
        self.committer = self._committer()
        self.push = SchemaPush(self.committer)
        self.model: Model = {table: {} for table in TABLES}
        self.active = Shape()
        self.pending: Shape | None = None
        self.check: SchemaCheck | None = None
        self.was_broken = False
        for table in TABLES:
            tx = self.committer.begin(system=True)
            tx.delete(tx.insert(table, {}))
            self.committer.accept(tx.finish())

    def _committer(self) -> Committer:
        return Committer(
            self.store, now_ns=self._now, random_bytes=self.chance.randbytes
        )

    def _now(self) -> int:
        self.time += 1_000_000
        return self.time

    def teardown(self) -> None:
        self._settle()
        self.store.check()
        audit(self.store)
        self.store.close()
        shutil.rmtree(self.folder)

    def _settle(self) -> None:
        self.committer.settle_all()

    # -- writing and reading ------------------------------------------------------

    @rule(data=st.data(), count=st.integers(3, 8))
    def fill(self, data: st.DataObject, count: int) -> None:
        tx = self.committer.begin()
        ctx, table = _context(tx), data.draw(st.sampled_from(TABLES))
        for _ in range(count):
            self._insert(ctx, table, self.model[table], data)
        self.committer.accept(tx.finish())

    @rule(data=st.data(), count=st.integers(1, 5), settles=st.booleans())
    def mutate(self, data: st.DataObject, count: int, settles: bool) -> None:
        tx = self.committer.begin()
        model = _copy(self.model)
        self._run(tx, model, data, count, depth=0)
        if data.draw(st.sampled_from([True, True, True, False])):
            self.committer.accept(tx.finish())
            self.model = model
        if settles:
            self._settle()

    def _run(
        self, tx: Any, model: Model, data: st.DataObject, count: int, depth: int
    ) -> None:
        ctx = _context(tx)
        for _ in range(count):
            kind = data.draw(st.sampled_from(["write", "write", "read", "nest"]))
            if kind == "write":
                self._write(ctx, model, data)
            elif kind == "read":
                self._read(ctx, model, data)
            elif depth < 3:
                self._nest(tx, model, data, depth)

    def _nest(self, tx: Any, model: Model, data: st.DataObject, depth: int) -> None:
        inner = _copy(model)
        fails = data.draw(st.booleans())
        try:
            with tx.savepoint():
                self._run(tx, inner, data, 2, depth + 1)
                if fails:
                    raise GivenUp
        except GivenUp:
            self._read(_context(tx), model, data)
        else:
            model.clear()
            model.update(inner)

    def _write(self, ctx: MutationCtx, model: Model, data: st.DataObject) -> None:
        table = data.draw(st.sampled_from(TABLES))
        documents = model[table]
        kind = data.draw(
            st.sampled_from(["insert", "insert", "patch", "replace", "delete"])
        )
        if kind == "insert" or not documents:
            self._insert(ctx, table, documents, data)
            return
        document_id = data.draw(st.sampled_from(sorted(documents)))
        before = documents[document_id]
        if kind == "delete":
            ctx.db.delete(table, document_id)
            del documents[document_id]
            return
        system = {name: before[name] for name in SYSTEM}
        fields = data.draw(self._documents(table))
        if kind == "patch":
            gone = data.draw(st.sets(st.sampled_from([*sorted(before), "a"])))
            fields |= dict.fromkeys(gone - set(SYSTEM), UNDEFINED)
            merged = {**before, **fields}
            after = {k: x for k, x in merged.items() if x is not UNDEFINED}
        else:
            after = {**fields, **system}
        write = getattr(ctx.db, kind)
        if values_equal(after, before):
            write(document_id, fields)
        elif self._allows(table, after, documents):
            write(document_id, fields)
            documents[document_id] = after
            self._note(table, after, documents)
        else:
            with pytest.raises(SchemaViolation):
                write(document_id, fields)

    def _insert(
        self,
        ctx: MutationCtx,
        table: str,
        documents: dict[str, Document],
        data: st.DataObject,
    ) -> None:
        fields = data.draw(self._documents(table))
        if not self._allows(table, {**fields, "_id": ""}, documents):
            with pytest.raises(SchemaViolation):
                ctx.db.insert(table, fields)
            return
        document_id = ctx.db.insert(table, fields)
        found = ctx.db.get(document_id)
        assert found is not None
        documents[document_id] = {**fields, **{name: found[name] for name in SYSTEM}}
        self._note(table, documents[document_id], documents)

    def _documents(self, table: str) -> st.SearchStrategy[Document]:
        """What fits one of the schemas, and what may not."""
        shaped = [
            fitting(shape.validators[table], ATOMS)
            for shape in (self.active, self.pending)
            if shape is not None and shape.validators.get(table, v.any()) != v.any()
        ]
        strategies: list[st.SearchStrategy[Any]] = [
            strategy for strategy in shaped if not strategy.is_empty
        ]
        return st.one_of(loose, *strategies, *strategies).map(_top_level)

    def _allows(
        self, table: str, document: Document, documents: dict[str, Document]
    ) -> bool:
        others = list(documents.values())
        return self.active.accepts(table, document) and not self.active.equals(
            table, document, others
        )

    def _note(
        self, table: str, document: Document, documents: dict[str, Document]
    ) -> None:
        """A write that a pending schema refuses goes on, and may be what fails it."""
        if self.pending is not None and not (
            self.pending.accepts(table, document)
            and not self.pending.equals(table, document, list(documents.values()))
        ):
            self.was_broken = True

    @rule(data=st.data())
    def query(self, data: st.DataObject) -> None:
        self._read(_context(self.committer.begin(writable=False)), self.model, data)

    def _read(self, ctx: MutationCtx, model: Model, data: st.DataObject) -> None:
        table = data.draw(st.sampled_from(TABLES))
        documents = list(model[table].values())
        for document in documents:
            assert values_equal(ctx.db.get(table, document["_id"]), document)
        indexes = {
            name: paths
            for name, (paths, _) in self.active.indexes.get(table, {}).items()
        }
        search = data.draw(searches(indexes, documents, few_values))
        query, expected = search.query(ctx.db.query(table)), search.found_in(documents)
        n = data.draw(st.integers(1, 4))
        assert are_same(query.collect(), expected)
        assert are_same(list(query), expected)
        assert are_same(list(islice(query, n)), expected[:n])
        assert are_same(query.take(n), expected[:n])
        assert query.count() == len(expected)
        first = query.first()
        assert are_same([] if first is None else [first], expected[:1])
        if len(expected) > 1:
            with pytest.raises(CallerError, match="more than one"):
                query.unique()
        else:
            assert are_same([x for x in [query.unique()] if x is not None], expected)
        assert are_same(_pages(query, n), expected)

    # -- pushing a schema, step by step ---------------------------------------------

    @initialize(shape=shapes())
    def deploy(self, shape: Shape) -> None:
        self.begin_push(shape)
        self.finish_push()
        assert self.active is shape

    @rule(shape=shapes())
    @precondition(lambda self: self.pending is None)
    def begin_push(self, shape: Shape) -> None:
        self.push.take(BeginPush(1, _json(shape)))
        self.pending, self.was_broken = shape, False
        self.is_filled = False
        self.check = SchemaCheck(self.committer)

    @rule()
    @precondition(lambda self: self.pending is not None)
    def work(self) -> None:
        self._settle()
        for answer in self.push.do_slice():
            self.is_filled = answer.failure is None
            if answer.failure is not None:
                assert self.was_broken or self.pending.refuses_some(self.model)
                self._give_up()
                return
        assert self.check is not None
        # It fails at what it meets, which may be gone by the end of the push.
        self.was_broken |= self.pending.refuses_some(self.model)
        self.check.run_slice()

    @rule()
    @precondition(lambda self: self.pending is not None)
    def give_up_push(self) -> None:
        self._give_up()

    @rule()
    @precondition(lambda self: self.pending is not None)
    def finish_push(self) -> None:
        while self.pending is not None and not self.is_filled:
            self.work()
        if self.pending is None:
            return
        assert self.check is not None
        self.check.run()
        refused = self.pending.refuses_some(self.model)
        try:
            self.push.finish(FinishPush(2, _json(self.pending), []))
        except SchemaViolation:
            assert refused or self.was_broken
            self._give_up()
            return
        assert not refused
        self.active, self.pending = self.pending, None
        self._expect_indexes()

    def _give_up(self) -> None:
        self.push.take(AbortPush(3))
        self.pending = None
        self._expect_indexes()

    def _expect_indexes(self) -> None:
        """Those of the active schema can be used, and no others."""
        db = _context(self.committer.begin(writable=False)).db
        for table in TABLES:
            for number in range(3):
                name = f"by_{number}"
                if name in self.active.indexes.get(table, {}):
                    db.query(table).with_index(name)
                else:
                    with pytest.raises(NotFound):
                        db.query(table).with_index(name)

    # -- what else happens ------------------------------------------------------------

    @rule()
    def settle(self) -> None:
        self._settle()

    @rule()
    @precondition(lambda self: self.sqlite)
    def restart(self) -> None:
        self._settle()
        self.store.check()
        self.store.close()
        self.store = SqlitePersistence(self.folder)
        self.committer = self._committer()
        self.push = SchemaPush(self.committer)
        if self.pending is not None:  # its answer is lost: it is begun once more
            self.push.take(BeginPush(1, _json(self.pending)))
            self.is_filled = False
            self.check = SchemaCheck(self.committer)


def _json(shape: Shape) -> bytes:
    return msgspec.json.encode(shape.schema().to_json())


def _copy(model: Model) -> Model:
    return {table: dict(documents) for table, documents in model.items()}


def _top_level(fields: Document) -> Document:
    return {name: value for name, value in fields.items() if name not in SYSTEM}


def _context(tx: Any) -> MutationCtx:
    run = determinism.Run("a mutation", now_ms=tx.now_ms, seed=b"s" * 32)
    return MutationCtx(
        Execution(ModuleSet([]), tx, run, clock=NoClock(), secret=b"secret")
    )


def _pages(query: Any, size: int) -> list[Document]:
    found: list[Document] = []
    cursor, is_done = None, False
    while not is_done:
        page = query.paginate(num_items=size, cursor=cursor)
        cursor, is_done = page["continueCursor"], page["isDone"]
        found += page["page"]
    return found


class OnSqlite(Life):
    sqlite = True


SOME = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knobs, "SLICE_DOCUMENTS", 3)


def test_memory_holds_what_it_should():
    run_state_machine_as_test(Life, settings=SOME)


def test_sqlite_holds_what_it_should():
    run_state_machine_as_test(OnSqlite, settings=SOME)
