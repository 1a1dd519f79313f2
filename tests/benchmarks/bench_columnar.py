"""What do large scans cost through `ctx.db`, beside a plain DuckDB table and the rows?

A store on SQLite, its columnar mirror, and queries as functions write them, without the
socket between two processes. The reference is the same SQL on a table of DuckDB's own
with the same columns, in the same run, in turns. Each question differs from those before
it in a constant, so that nothing is answered from what is kept; but for the live count,
which is asked again after each commit.

The rows are read once, with their limits lifted; of a large table a tenth is, and the
time multiplied, since it is in proportion. `--documents 5000000` asks five million.
The target is told beside each question: 1.5 times DuckDB's time and 5 ms, and a fiftieth
of the rows'.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb  # noqa: TID253 - the reference
import msgspec
import pyarrow as pa  # noqa: TID253 - the reference
from tests.benchmarks.figures import Options, Row, Table
from tests.benchmarks.in_process import deploy

from convexlab import knobs
from convexlab.engine import definitions
from convexlab.engine.committer import Committer
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.persistence.sqlite import SqlitePersistence, open_reader
from convexlab.followers.columnar.answers import ANSWERS
from convexlab.followers.columnar.file import FILE
from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.columnar.sql import SqlRequest, answer_of
from convexlab.followers.following import Following
from convexlab.followers.keeper import NO_INDEXES
from convexlab.functions import determinism
from convexlab.functions.aggregates import count, sum_
from convexlab.functions.context import QueryCtx
from convexlab.functions.execution import Execution, NoClock
from convexlab.functions.modules import ModuleSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab.followers.keeper import DerivedIndexes

DOCUMENTS = 1_000_000
TURNS = 9
# Of larger tables the rows are read in a smaller one.
MOST_ROWS = 200_000
# How many documents are made a frame of, or counted for profiles, in all turns.
MOST_DOCUMENTS = 10_000_000
# What a question may take beside DuckDB: times it, and ms more; and beside the rows.
TARGET_RATIO, TARGET_MS, TARGET_ROWS = 1.5, 5.0, 50.0
# Documents that it may take no more than a second to take in.
TARGET_RATE = 100_000
_BATCH = 1000

Ask = Any  # a query of `ctx.db` and the turn's number: what it says
QUESTIONS: dict[str, tuple[Ask, str]] = {
    "filter and count": (
        lambda query, turn: query.filter(lambda d: d.n >= 500 + turn).count(),
        "SELECT count(*) FROM plain WHERE n >= 500 + {turn}",
    ),
    "1,000 groups, counted": (
        lambda query, turn: (
            query.filter(lambda d: d.n >= -turn).group_by("owner").agg(n=count())
        ),
        "SELECT owner, count(*) FROM plain WHERE n >= -{turn} GROUP BY 1 ORDER BY 1",
    ),
    "7 groups, sums of whole numbers": (
        lambda query, turn: (
            query.filter(lambda d: d.n >= -turn).group_by("kind").agg(t=sum_("n"))
        ),
        "SELECT kind, sum(n) FROM plain WHERE n >= -{turn} GROUP BY 1 ORDER BY 1",
    ),
    "sum of floats, exact here": (
        lambda query, turn: query.filter(lambda d: d.n >= -turn).sum("amount"),
        "SELECT sum(amount) FROM plain WHERE n >= -{turn}",
    ),
    "first 100 by a field": (
        lambda query, turn: (
            query.filter(lambda d: d.n >= -turn).order_by("amount", "desc").take(100)
        ),
        "SELECT * FROM plain WHERE n >= -{turn} ORDER BY amount DESC LIMIT 100",
    ),
    "first 100 by several kinds of value": (
        lambda query, turn: (
            query.filter(lambda d: d.n >= -turn).order_by("mixed", "desc").take(100)
        ),
        "SELECT * FROM plain WHERE n >= -{turn} ORDER BY mixed DESC LIMIT 100",
    ),
    "first 100 by null, missing and numbers": (
        lambda query, turn: (
            query.filter(lambda d: d.n >= -turn).order_by("sparse", "desc").take(100)
        ),
        "SELECT * FROM plain WHERE n >= -{turn} ORDER BY sparse DESC LIMIT 100",
    ),
    "sum of null, missing and numbers": (
        lambda query, turn: query.filter(lambda d: d.n >= -turn).sum("sparse"),
        "SELECT sum(sparse) FROM plain WHERE n >= -{turn}",
    ),
    "count of several kinds of value": (
        lambda query, turn: query.filter(lambda d: d.mixed == f"text {turn}").count(),
        "SELECT count(*) FROM plain WHERE mixed = '\"text {turn}\"'",
    ),
    "count of null, missing and numbers": (
        lambda query, turn: query.filter(lambda d: d.sparse > 500 + turn).count(),
        "SELECT count(*) FROM plain WHERE sparse > 500 + {turn}",
    ),
    "count of a field in objects": (
        lambda query, turn: query.filter(
            lambda d: d.place.city == f"city {turn}"
        ).count(),
        "SELECT count(*) FROM plain WHERE place.city = 'city {turn}'",
    ),
    "a loop over few of them": (
        lambda query, turn: [
            each["n"] for each in query.filter(lambda d: d.owner == f"owner {turn}")
        ],
        "SELECT n, text FROM plain WHERE owner = 'owner {turn}'",
    ),
    "a page of few of them": (
        lambda query, turn: query.filter(lambda d: d.owner == f"owner {turn}").paginate(
            num_items=50
        ),
        "SELECT * FROM plain WHERE owner = 'owner {turn}' LIMIT 51",
    ),
    "few of a range of an index": (
        lambda query, turn: (
            query.with_index("by_kind", kind="kind 1")
            .filter(lambda d: d.owner == f"owner {turn}")
            .collect()
        ),
        "SELECT * FROM plain WHERE kind = 'kind 1' AND owner = 'owner {turn}'",
    ),
}


class Lab:
    """A store, its mirror, and the reference.

    Args:
        folder: of both.
        documents: how many there are.
    """

    def __init__(self, folder: Path, documents: int) -> None:
        folder.mkdir()
        self._store = SqlitePersistence(folder)
        self.committer = Committer(self._store)
        deploy(self.committer, {})
        tx = self.committer.begin(system=True, writable=True)
        definitions.create_table(tx, "t")
        definitions.create_index(tx, "t", "by_kind", ("kind",))
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        self.chance = random.Random(documents)
        self.ids: list[str] = []
        self.insert(documents // 2)
        self.mirror = Mirror(folder / FILE, ANSWERS)
        self._reader = open_reader(folder)
        self.following = Following(self._reader, self.mirror)
        before, half = resident_mb(), documents // 2
        self.building = self.advanced()
        built = resident_mb()
        self.insert(documents - half)
        inserted = resident_mb()
        self.following_on = self.advanced()
        followed = resident_mb()
        self.halves = half, documents - half
        self.build_mb, self.follow_mb = built - before, followed - inserted
        self.plain = duckdb.connect(str(folder / "plain.duckdb"))
        self.plain.execute(
            "CREATE TABLE plain (_id VARCHAR, amount DOUBLE, n BIGINT, kind VARCHAR,"
            " owner VARCHAR, text VARCHAR, mixed VARCHAR, sparse DOUBLE,"
            " place STRUCT(city VARCHAR))"
        )
        rows = self.sql(
            "SELECT _id, amount, n, kind, owner, text, mixed, sparse, place FROM t"
        )
        self.plain.register("rows", rows)
        self.plain.execute("INSERT INTO plain SELECT * FROM rows")
        self.plain.unregister("rows")
        self.plain.close()  # at rest, as the mirror
        self.plain = duckdb.connect(str(folder / "plain.duckdb"))
        self.mirror.checkpoint()

    def insert(self, count: int) -> None:
        for start in range(0, count, _BATCH):
            tx = self.committer.begin(limits=NO_LIMITS)
            documents = [self._document() for _ in range(min(_BATCH, count - start))]
            self.ids += tx.insert_many("t", documents)
            self.committer.accept(tx.finish())
            self.committer.settle_all()

    def _document(self) -> dict[str, Any]:
        chance = self.chance
        mixed = chance.randrange(3000)
        sparse = chance.choice(
            [{"sparse": chance.randrange(1000)}, {"sparse": None}, {}]
        )
        return {
            "mixed": mixed if mixed > 1000 else f"text {mixed}",
            "place": {"city": f"city {chance.randrange(100)}"},
            **sparse,
            "amount": chance.lognormvariate(3, 2),
            "n": chance.randrange(1000),
            "kind": f"kind {chance.randrange(7)}",
            "owner": f"owner {chance.randrange(1000)}",
            "text": f"{chance.random()} and forty more letters of some sort",
        }

    def patch_one(self) -> None:
        tx = self.committer.begin()
        tx.patch(self.chance.choice(self.ids), {"n": self.chance.randrange(1000)})
        self.committer.accept(tx.finish())
        self.committer.settle_all()

    def advanced(self) -> tuple[float, float]:
        """Seconds until all is in the mirror, and written: the clock's, the processor's."""
        began, worked = time.perf_counter(), time.process_time()
        with self.mirror.reading(self.following.advance()):
            return time.perf_counter() - began, time.process_time() - worked

    def query(self, derived: DerivedIndexes) -> Any:
        """`ctx.db.query("t")` in a query of its own."""
        limits = NO_LIMITS if derived is NO_INDEXES else None
        tx = self.committer.begin(writable=False, limits=limits)
        run = determinism.Run("m:f", now_ms=0, seed=b"s" * 32)
        modules = ModuleSet([])
        execution = Execution(modules, tx, run, clock=NoClock(), derived=derived)
        return QueryCtx(execution).db.query("t")

    def ask(
        self, name: str, request: bytes, *, at: Any, patience_seconds: float
    ) -> Any:
        """It is `DerivedIndexes`."""
        del name
        self.following.wait_for(at, patience_seconds=patience_seconds)
        return self.mirror.answer(request, at)

    def sql(self, text: str) -> pa.Table:
        """As `db.sql` and `db.table(…)` get it."""
        request = msgspec.msgpack.encode(SqlRequest(text, arrow=True))
        told = self.mirror.answer(b"sql\n" + request, self.mirror.watermark)
        return pa.ipc.open_stream(answer_of(told).rows).read_all()

    def close(self) -> None:
        self.plain.close()
        self.following.close()
        self._store.close()


def resident_mb() -> float:
    """What this process has in memory; 0 where nobody says."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def run(options: Options) -> Iterator[Table]:
    documents = options.documents(DOCUMENTS, 4000)
    turns = options.count(TURNS, 2)
    gc.set_threshold(
        *knobs.GARBAGE_THRESHOLDS
    )  # as the index keeper's process has them
    small = Lab(options.folder / "small", min(documents // 10, MOST_ROWS))
    lab = Lab(options.folder / "large", documents)
    for name, (ask, text) in QUESTIONS.items():
        yield scans(lab, small, name, ask, text, turns)
    # N.B. each turn of these takes seconds, of five million documents.
    few = min(turns, MOST_DOCUMENTS // documents + 1)
    yield frames(lab, few)
    yield live(small, lab, options.count(200, 5))
    yield profiles(lab, few)
    yield catching_up(lab)
    small.close()
    lab.close()


def scans(  # noqa: PLR0917 - one call
    lab: Lab, small: Lab, name: str, ask: Ask, text: str, turns: int
) -> Table:
    ways: dict[str, Callable[[int], Any]] = {
        "plain DuckDB": lambda turn: lab.plain.execute(
            text.format(turn=turn)
        ).fetchall(),
        "mirror": lambda turn: ask(lab.query(lab), turn),
    }
    took = in_turns(ways, turns)
    part = lab if len(lab.ids) <= MOST_ROWS else small
    times = len(lab.ids) / len(part.ids)
    rows = in_turns({"rows": lambda turn: ask(part.query(NO_INDEXES), turn)}, 1)["rows"]
    took["rows"] = [each * times for each in rows]
    table = _table(f"{name}, of {len(lab.ids):,} documents", took)
    table.notes.append(_beside_target(took))
    if times > 1:
        table.notes.append(f"rows: of {len(part.ids):,} documents, times {times:.0f}")
    return table


def _beside_target(took: dict[str, list[float]]) -> str:
    plain, mirror, rows = (statistics.median(each) for each in took.values())
    allowed = TARGET_RATIO * plain + TARGET_MS
    return (
        f"target: {allowed:.1f} ms, took {mirror / allowed:.2f} of it; "
        f"{rows / mirror:.0f} times as fast as the rows (target {TARGET_ROWS:.0f})"
    )


def frames(lab: Lab, turns: int) -> Table:
    ways: dict[str, Callable[[int], Any]] = {
        "plain DuckDB": lambda _: lab.plain.sql("FROM plain").df(),
        "mirror": lambda _: lab.sql("FROM t").to_pandas(),
    }
    return _table(f"{len(lab.ids):,} documents as a frame", in_turns(ways, turns))


def profiles(lab: Lab, turns: int) -> Table:
    """Each asked for the first time: nothing that is kept is of any use."""
    columns = "amount, n, kind, owner, text, sparse"
    ways: dict[str, Callable[[int], Any]] = {
        "plain DuckDB": lambda turn: lab.plain.execute(
            f"SUMMARIZE SELECT {columns} FROM plain WHERE n >= -{turn}"
        ).fetchall(),
        "mirror": lambda turn: lab.sql(
            f"SUMMARIZE SELECT {columns} FROM t WHERE n >= -{turn}"
        ),
        "mirror, with creation times": lambda turn: lab.sql(
            f"SUMMARIZE SELECT _creationTime, {columns} FROM t WHERE n >= -{turn}"
        ),
    }
    return _table(
        f"the profiles of six columns of {len(lab.ids):,} documents",
        in_turns(ways, turns),
    )


def catching_up(lab: Lab) -> Table:
    ways = dict(
        zip(("building", "following"), (lab.building, lab.following_on), strict=True)
    )
    rates = {
        name: (count / clock, count / worked)
        for (name, (clock, worked)), count in zip(ways.items(), lab.halves, strict=True)
    }
    worked = ", ".join(f"{of:,.0f} {name}" for name, (_, of) in rates.items())
    return Table(
        f"how fast does the mirror take in documents? ratio to {TARGET_RATE:,}/s",
        "document",
        [
            Row(name, by_clock, ratio=by_clock / TARGET_RATE)
            for name, (by_clock, _) in rates.items()
        ],
        [
            f"built {lab.halves[0]:,} in {lab.building[0]:.1f} s; memory grew by "
            f"{lab.build_mb:.0f} MB while building, {lab.follow_mb:.0f} while following; "
            f"the mirror's file has {lab.mirror.status()['bytes'] / 1e6:.0f} MB",  # type: ignore[operator]  # a number
            f"for each second of processor time of all threads: {worked}",
        ],
    )


def live(small: Lab, large: Lab, turns: int) -> Table:
    def follow_one(lab: Lab) -> int:
        lab.patch_one()
        lab.following.advance()
        found: int = lab.query(lab).filter(lambda d: d.n >= 500).count()
        return found

    labs = {f"{len(lab.ids):,} documents": lab for lab in (small, large)}
    return _table(
        "a count that is asked again after each commit, with commit and catching up",
        in_turns(
            {
                name: lambda _, lab=lab: follow_one(lab)  # type: ignore[misc]  # mypy cannot tell its type
                for name, lab in labs.items()
            },
            turns,
        ),
    )


def in_turns(
    ways: dict[str, Callable[[int], Any]], turns: int
) -> dict[str, list[float]]:
    """Milliseconds of each way; the first turn is to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            way(turn)
            if turn:
                taken[name].append((time.perf_counter() - began) * 1000)
    return taken


def _table(title: str, took: dict[str, list[float]]) -> Table:
    medians = {name: statistics.median(each) for name, each in took.items()}
    first = next(iter(medians.values()))
    rows = [
        Row(name, 1000 / medians[name], took[name], ratio=medians[name] / first)
        for name in took
    ]
    return Table(f"{title}; ratio of times to {next(iter(took))}", "time", rows)
