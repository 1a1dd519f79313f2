"""What does one query cost: a point get, and a range of 50 rows?

From outside to inside: over HTTP with other arguments each time (a run in a reader),
over HTTP with the same arguments (the kept result), what the reader does for it, the
run alone with its snapshot open, and one such call among others inside of a run. The
reference is the same rows in SQL, each document's JSON decoded.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
from tests.benchmarks import wire
from tests.benchmarks.deployments import Deployment, Watch, call, deployment
from tests.benchmarks.figures import Options, Row, Table, alternate, percentile, rate
from tests.benchmarks.in_process import InProcess, settle_garbage
from tests.benchmarks.raw_store import RawStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROWS = 50
# How often a function that measures one call of `ctx.db` makes it.
TIMES = 100

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "items": define_table({"group": v.string(), "n": v.number(), "text": v.string()})
    .index("by_group", ["group"]),
})
"""

ITEMS = """
from convexlab import Doc, Id, QueryCtx, query


@query
def one(ctx: QueryCtx, id: Id.items, salt: int) -> Doc | None:
    return ctx.db.get(id)


@query
def group(ctx: QueryCtx, name: str, salt: int) -> list[Doc]:
    return ctx.db.query("items").with_index("by_group", group=name).order("desc").take(50)


@query
def ids(ctx: QueryCtx) -> list[str]:
    return [item["_id"] for item in ctx.db.query("items").take(4000)]


@query
def nothing(ctx: QueryCtx):
    return None


@query
def one_unsaid(ctx: QueryCtx, id: Id.items, salt: int):
    ctx.db.get(id)


@query
def group_unsaid(ctx: QueryCtx, name: str, salt: int):
    ctx.db.query("items").with_index("by_group", group=name).order("desc").take(50)


@query
def many_ones(ctx: QueryCtx, ids: list[str]):
    for id in ids:
        ctx.db.get(id)


@query
def many_groups(ctx: QueryCtx, names: list[str]):
    for name in names:
        ctx.db.query("items").with_index("by_group", group=name).order("desc").take(50)


@query
def arguments(ctx: QueryCtx, id: Id.items, salt: int):
    return None
"""

Asked = tuple[str, dict[str, Any]]
Works = dict[str, "Callable[[], object]"]
DECODED = "bare SQL, JSON decoded"


def run(options: Options) -> Iterator[Table]:
    seconds = options.seconds(5) / 8
    items = _items(options.count(20_000, 500))
    raw = _Raw(options.folder / "raw", items)
    modules = {"schema": SCHEMA, "items": ITEMS}
    with (
        deployment(options.folder / "served", modules) as served,
        Watch(served) as watch,
    ):
        served.insert("items", items)
        http = _Http(served)
        inside = _Inside(options.folder / "inside", modules, items)
        settle_garbage()
        yield _table(
            "a point get in a query",
            {
                "POST /api/query, new arguments": lambda: http.ask(_one(http.ids)),
                "POST /api/query, the same again": lambda: http.ask(_same(http.ids)),
                **inside.works(_one, "items:one"),
                DECODED: lambda: msgspec.json.decode(raw.one()),
                "bare SQL, as text": raw.one,
            },
            {"ctx.db.get, one of 100 in a run": inside.gets},
            seconds,
            watch,
        )
        yield _table(
            f"a range of {ROWS} rows in a query",
            {
                "POST /api/query, new arguments": lambda: http.ask(_group(http.ids)),
                "POST /api/query, the same again": lambda: http.ask(
                    ("items:group", SAME)
                ),
                **inside.works(_group, "items:group"),
                DECODED: lambda: [msgspec.json.decode(body) for body in raw.group()],
                "bare SQL, as text": raw.group,
            },
            {"ctx.db.query … take(50), one of 100 in a run": inside.takes},
            seconds,
            watch,
        )
        yield inside.parts(seconds)
        inside.close()
        http.close()
    raw.close()


def _table(
    title: str, works: Works, among: Works, seconds: float, watch: Watch
) -> Table:
    """One question's answer.

    Args:
        title: the question.
        works: what is repeated.
        among: the same, where one call in it does the thing TIMES times.
        seconds: how long each is repeated.
        watch: of the deployment.
    """
    took = alternate(works | among, seconds=seconds, at_least=20)
    for what in among:
        took[what] = [each / TIMES for each in took[what]]
    base = percentile(took[DECODED], 50)
    rows = [
        Row(
            what,
            rate(each),
            each,
            memory=watch.peak_memory if "POST" in what else None,
            ratio=percentile(each, 50) / base,
        )
        for what, each in sorted(
            took.items(), key=lambda item: -sum(item[1]) / len(item[1])
        )
    ]
    return Table(f"{title}; ratio to {DECODED} (medians)", "query", rows)


def _items(count: int) -> list[dict[str, Any]]:
    groups = max(1, count // 100)
    return [
        {"group": f"g{at % groups}", "n": at, "text": "x" * 120} for at in range(count)
    ]


# -- what is asked -------------------------------------------------------------------

SALT = itertools.count()
CHANCE = random.Random(7)
SAME = {"name": "g1", "salt": -1}


def _one(ids: list[str]) -> Asked:
    return "items:one", {"id": CHANCE.choice(ids), "salt": next(SALT)}


def _same(ids: list[str]) -> Asked:
    return "items:one", {"id": ids[0], "salt": -1}


def _name() -> str:
    return f"g{CHANCE.randrange(5)}"


def _group(_: list[str]) -> Asked:
    return "items:group", {"name": _name(), "salt": next(SALT)}


class _Inside:
    """The same store and functions, without a server."""

    def __init__(
        self, folder: Path, modules: dict[str, str], items: list[dict[str, Any]]
    ) -> None:
        self._functions = InProcess(folder, modules)
        self._functions.insert("items", items)
        self.ids: list[str] = self._functions.query("items:ids", {})
        self.close = self._functions.close

    def works(self, ask: Callable[[list[str]], Asked], path: str) -> Works:
        def args() -> bytes:
            return msgspec.json.encode(ask(self.ids)[1])

        return {
            "in the reader, snapshot and message included": lambda: (
                self._functions.answer(path, args())
            ),
            "the run alone": lambda: self._functions.run(path, args()),
        }

    def gets(self) -> None:
        ids = CHANCE.choices(self.ids, k=TIMES)
        self._functions.run("items:many_ones", msgspec.json.encode({"ids": ids}))

    def takes(self) -> None:
        names = [_name() for _ in range(TIMES)]
        self._functions.run("items:many_groups", msgspec.json.encode({"names": names}))

    def parts(self, seconds: float) -> Table:
        """Where the time of a run goes: each line does a little more."""
        run, ids = self._functions.run, self.ids
        works: Works = {
            "a function that does nothing": lambda: run("items:nothing", b"{}"),
            "+ two arguments, one of them an id": lambda: run(
                "items:arguments", msgspec.json.encode(_one(ids)[1])
            ),
            "+ ctx.db.get": lambda: run(
                "items:one_unsaid", msgspec.json.encode(_one(ids)[1])
            ),
            "+ the document returned": lambda: run(
                "items:one", msgspec.json.encode(_one(ids)[1])
            ),
            "50 documents read": lambda: run(
                "items:group_unsaid", msgspec.json.encode(_group(ids)[1])
            ),
            "+ the documents returned": lambda: run(
                "items:group", msgspec.json.encode(_group(ids)[1])
            ),
        }
        took = alternate(works, seconds=seconds, at_least=20)
        base = percentile(took["a function that does nothing"], 50)
        rows = [
            Row(what, rate(each), each, ratio=percentile(each, 50) / base)
            for what, each in took.items()
        ]
        return Table(
            "where the time of a run goes; ratio to a function that does nothing (medians)",
            "run",
            rows,
        )


class _Http:
    def __init__(self, served: Deployment) -> None:
        self._connection = served.connect()
        self._path = wire.place_of(served.url)[2] + "/api/query"
        self.ids = served.run("query", "items:ids")

    def ask(self, asked: Asked) -> None:
        path, args = asked
        said = self._connection.send(wire.request(self._path, call(path, **args)))
        assert b'"status":"success"' in said, said[:300]

    def close(self) -> None:
        self._connection.close()


class _Raw:
    """The same rows, asked for in SQL."""

    def __init__(self, folder: Path, items: list[dict[str, Any]]) -> None:
        self._store = RawStore(folder)
        # As ours does: a statement is planned once, whatever values it is given.
        self._store.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        id_and_time = {"_id": "j" * 32, "_creationTime": 1.0}
        bodies = [msgspec.json.encode(item | id_and_time) for item in items]
        self._store.insert_many(
            bodies, [f"{item['group']}\0".encode() for item in items]
        )
        self._rows = range(1, min(len(items), 4000) + 1)
        self.close = self._store.close

    def one(self) -> bytes:
        return self._store.get(CHANCE.choice(self._rows))

    def group(self) -> list[bytes]:
        return self._store.range(f"{_name()}\0".encode(), ROWS)
