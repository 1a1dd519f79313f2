"""The stage: actors who do one thing a line, over a store of any kind.

A script's lines are `actor: verb words…`; what a line leads to follows it in the
outcome, after an arrow. The kinds of actors, told by their names' beginnings:

    t1, t2 …   a transaction: begin, insert, patch, delete, get, list, savepoint,
               rollback, release, commit, abort
    writer     makes durable, step by step: apply, flush, publish; or settle (all)
    r1, r2 …   a reader of what was flushed: open [at MARK], get, list, close
    c1, c2 …   a client's query: run …, keep (the run's result arrives); and pages:
               page N, again PAGE
    index      declare TABLE NAME FIELDS [unique], slice, state
    schema     declare TABLE FIELD:TYPE, slice, activate, state
    mark       NAME: the newest commit, for `open at`

Documents have names: `insert notes a n=1`, `get a`, `list notes by_n 1..3`, and
through a filter `list notes by_n 1..3 where m=1`.
"""

from __future__ import annotations

import random
from contextlib import AbstractContextManager, closing
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.documents.encoding import from_wire, to_wire
from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key, successor
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine import backfill, definitions
from convexlab.engine.catalog import load_catalog
from convexlab.engine.committer import CommitGroup, Committer
from convexlab.engine.interval import EVERYTHING, Interval
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.engine.transaction import Transaction
from convexlab.errors import ConvexlabError
from convexlab.followers.written import Written
from convexlab.functions import filters, runner
from convexlab.functions.cache import CachedResult, Findings, QueryToken, Results
from convexlab.functions.module_sources import ModuleSource
from convexlab.functions.modules import ModuleSet

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.snapshot import Snapshot

PAGES = ModuleSource(
    "m",
    """
from convexlab import PaginationOpts, PaginationResult, query

@query
def page(ctx, opts: PaginationOpts) -> PaginationResult:
    return ctx.db.query("notes").with_index("by_n").paginate(opts)
""",
)
FIRST_NS = 1_700_000_000_000_000_000
TICK_NS = 1_000_000


class GivenUp(Exception):
    """How a savepoint is rolled back."""


class Stage:
    """What all actors share."""

    def __init__(self, persistence: Persistence) -> None:
        self._now = FIRST_NS
        self.persistence = persistence
        self.committer = Committer(
            persistence, now_ns=self._tick, random_bytes=random.Random(0).randbytes
        )
        self.published_ts = self.committer.durable_ts
        self.results: Results[str] = Results(clock=lambda: 0.0)
        self.ids: dict[str, str] = {}
        self.marks: dict[str, Any] = {}
        self._actors: dict[str, Any] = {}

    def _tick(self) -> int:
        self._now += TICK_NS
        return self._now

    def play(self, line: str) -> str:
        """Do what a line says; what it leads to, "" if there is nothing to tell."""
        name, _, rest = line.partition(":")
        verb, *words = rest.split()
        actor = self._actors.get(name)
        if actor is None:
            kind = ACTORS[name.rstrip("0123456789")]
            actor = self._actors[name] = kind(self)
        try:
            return getattr(actor, verb)(*words) or ""
        except ConvexlabError as error:
            return f"{error.code}"

    def close(self) -> None:
        """Make the rest durable; everything must hold together."""
        for actor in self._actors.values():
            actor.end()
        self.committer.settle_all()


class Actor:
    """One who acts on the stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.committer = stage.committer

    def end(self) -> None:
        """The script is over."""


class Reading(Actor):
    """One who looks through a transaction."""

    tx: Transaction

    def get(self, name: str) -> str:
        return _shown(self.tx.get(*decode_id(self.stage.ids[name])))

    def list(
        self,
        table: str,
        index: str = "by_creation_time",
        within: str = "",
        *where: str,
    ) -> str:
        info = self.tx.table(table)
        if info is None:
            return "no table"
        fields = _fields(where[1:])
        only = filters.build(
            lambda q: q.and_(*(q.eq(q.field(name), fields[name]) for name in fields))
        )
        rows = self.tx.range(
            self.tx.index(info, index),
            _interval(within),
            where=filters.encode(only) if where else None,
        )
        matches = filters.predicate(only)
        found = [_shown(document) for _, document in rows if matches(document)]
        return ", ".join(found) or "none"


class OfTransaction(Reading):
    """`t1`."""

    def begin(self) -> None:
        self.tx = self.committer.begin()
        self._savepoints: list[AbstractContextManager[None]] = []

    def insert(self, table: str, name: str, *fields: str) -> None:
        self.stage.ids[name] = self.tx.insert(table, {"name": name, **_fields(fields)})

    def patch(self, name: str, *fields: str) -> None:
        self.tx.patch(self.stage.ids[name], _fields(fields))

    def delete(self, name: str) -> None:
        self.tx.delete(self.stage.ids[name])

    def savepoint(self) -> None:
        self._savepoints.append(self.tx.savepoint())
        self._savepoints[-1].__enter__()

    def release(self) -> None:
        self._savepoints.pop().__exit__(None, None, None)

    def rollback(self) -> None:
        why = GivenUp()
        assert not self._savepoints.pop().__exit__(GivenUp, why, None)

    def commit(self) -> str:
        try:
            self.committer.accept(self.tx.finish())
        except AssertionError as error:
            return f"refused: {str(error).partition(':')[0]}"
        return "ok"

    def abort(self) -> None:
        del self.tx


class OfWriter(Actor):
    """`writer`."""

    _group: CommitGroup | None = None

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._shown: set[int] = set()  # tables that were ever read through a filter

    def apply(self) -> str:
        group = self.committer.apply()
        if group is None:
            return "nothing to apply"
        self._group = group
        return f"a group of {len(group)}"

    def flush(self) -> None:
        assert self._group is not None
        self.committer.flush(self._group)

    def publish(self) -> str:
        group, self._group = self._group, None
        assert group is not None
        self.committer.durable(group)
        results = self.stage.results
        self._shown.update(results.filtered_tables)
        written = Written(*group.written(self._shown))
        ended = results.publish(group.previous_ts, group.ts, written)
        self.stage.published_ts = group.ts
        watching = sorted(str(w) for result in ended for w in result.watchers)
        return f"touches {', '.join(watching) or 'nobody'}"

    def settle(self) -> str:
        told = [self.apply()]
        if self._group is not None:
            self.flush()
            told.append(self.publish())
        return ", ".join(told)

    def end(self) -> None:
        if self._group is not None:
            self.flush()
            self.publish()


class OfReader(Reading):
    """`r1`."""

    _snapshot: Snapshot | None = None

    def open(self, *at: str) -> None:
        self.close()
        base = self.stage.persistence.snapshot()
        if at:
            self._snapshot = snapshot_at(base, self.stage.marks[at[-1]])
        else:
            self._snapshot = newest_snapshot(base)
        self.tx = _reading(self._snapshot)

    def close(self) -> None:
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def end(self) -> None:
        self.close()


class OfClient(Actor):
    """`c1`: asks at what was published last, as a gateway does for it."""

    _result: CachedResult[str] | None = None

    def run(self, verb: str, *words: str) -> str:
        self._ts = self.stage.published_ts
        self._token = QueryToken(verb, " ".join(words).encode())
        self.stage.results.begin(self._ts)
        reading = Reading(self.stage)
        with self._snapshot() as snapshot:
            reading.tx = _reading(snapshot)
            self._payload = str(getattr(reading, verb)(*words))
            self._reads = reading.tx.reads()
        return self._payload

    def keep(self) -> str:
        result = self.stage.results.keep(
            self._token,
            None,
            self._ts,
            self._payload,
            size=1,
            journal=None,
            findings=Findings(self._reads, identity_read=False, clock_read=False),
        )
        if result.until is not None:
            return "has ended meanwhile"
        self.stage.results.watch(result, self)
        return "is current"

    def page(self, count: str) -> str:
        """The next page."""
        self._pages: list[dict[str, Any]] = getattr(self, "_pages", [])
        cursor = self._pages[-1]["continueCursor"] if self._pages else None
        found = self._page({"numItems": int(count), "cursor": cursor})
        self._pages.append(found | {"cursor": cursor, "numItems": int(count)})
        return _page(found)

    def again(self, number: str) -> str:
        """A page anew, up to where it ended."""
        before = self._pages[int(number) - 1]
        found = self._page(
            {
                "numItems": before["numItems"],
                "cursor": before["cursor"],
                "endCursor": before["continueCursor"],
            }
        )
        return _page(found)

    def _page(self, opts: dict[str, Any]) -> dict[str, Any]:
        with self._snapshot() as snapshot:
            outcome = runner.run(
                ModuleSet([PAGES]),
                "m:page",
                to_wire({"opts": opts}),
                _reading(snapshot),
                kind="query",
                seed=b"s" * 32,
                now_ms=FIRST_NS // TICK_NS,
                secret=b"secret",
            )
        assert outcome.value is not None, outcome.error
        found: Any = from_wire(outcome.value)
        return dict(found)

    def _snapshot(self) -> Snapshot:
        return snapshot_at(self.stage.persistence.snapshot(), self.stage.published_ts)

    def __str__(self) -> str:
        return next(n for n, a in self.stage._actors.items() if a is self)


class OfIndex(Actor):
    """`index`."""

    def declare(self, table: str, name: str, fields: str, *unique: str) -> str:
        tx = self.committer.begin(system=True)
        definitions.create_index(
            tx, table, name, fields.split(","), unique=bool(unique)
        )
        self.committer.accept(tx.finish())
        self._name = name
        return self.state()

    def slice(self) -> str:
        backfill.work_slice(self.committer)
        return self.state()

    def state(self) -> str:
        states = [i.state for i in self.committer.catalog.indexes() if self._is(i.name)]
        return ", ".join(states) or "gone"

    def _is(self, name: str) -> bool:
        return name == self._name


class OfSchema(Actor):
    """`schema`."""

    def declare(self, table: str, *fields: str) -> str:
        types = dict(field.split(":") for field in fields)
        shape = {name: getattr(v, kind)() for name, kind in types.items()}
        schema = define_schema({table: define_table({"name": v.string(), **shape})})
        tx = self.committer.begin(system=True)
        definitions.declare_schema(tx, schema)
        self.committer.accept(tx.finish())
        self._check = backfill.SchemaCheck(self.committer)
        return self.state()

    def slice(self) -> str:
        is_over = self._check.run_slice()
        return f"{'over' if is_over else 'goes on'}, {self.state()}"

    def activate(self) -> str:
        tx = self.committer.begin(system=True)
        definitions.activate_schema(tx)
        self.committer.accept(tx.finish())
        return self.state()

    def state(self) -> str:
        catalog = self.committer.catalog
        pending = "pending" if catalog.pending else "none pending"
        return f"{pending}, {'one' if catalog.schema else 'none'} active"


class OfMark(Actor):
    """`mark`."""

    def __getattr__(self, name: str) -> Any:
        self.stage.marks[name] = self.committer.ts
        return lambda: ""


ACTORS = {
    "t": OfTransaction,
    "writer": OfWriter,
    "r": OfReader,
    "c": OfClient,
    "index": OfIndex,
    "schema": OfSchema,
    "mark": OfMark,
}


def _reading(snapshot: Snapshot) -> Transaction:
    return Transaction(snapshot, load_catalog(snapshot, ts=snapshot.catalog_ts))


def _fields(words: tuple[str, ...]) -> dict[str, Any]:
    return {name: _value(text) for name, _, text in (w.partition("=") for w in words)}


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _interval(within: str) -> Interval:
    """`1..3`: of an index of one field, both ends included."""
    if not within:
        return EVERYTHING
    low, _, high = within.partition("..")
    start = encode_key(_value(low)) if low else b""
    return Interval(start, successor(encode_key(_value(high))) if high else None)


def _shown(document: Any) -> str:
    if document is None:
        return "nothing"
    fields = [f"{k}={x}" for k, x in document.items() if k != "name" and k[0] != "_"]
    return " ".join([document["name"], *fields])


def _page(found: dict[str, Any]) -> str:
    rows = ", ".join(_shown(document) for document in found["page"]) or "none"
    return f"{rows}; {'the last' if found['isDone'] else 'more'}"


def outcome(script: str, persistence: Persistence) -> str:
    """Play a script's lines; what came of them."""
    stage = Stage(persistence)
    told = []
    with closing(stage):
        for line in script.splitlines():
            if line and not line.startswith("#"):
                said = stage.play(line)
                told += [f"{line} → {said}"] if said else []
    return "\n".join(told)
