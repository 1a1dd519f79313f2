"""What does one query cost: a point get, and a range of 50 rows?

Over HTTP with other arguments each time (a run in a reader), over HTTP with the same
arguments (the kept result), and in process, without a server. The reference is the
bare SQL of the same rows, one connection after the other.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import msgspec
from tests.benchmarks import wire
from tests.benchmarks.deployments import Deployment, Watch, call, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile, rate, repeat
from tests.benchmarks.in_process import InProcess
from tests.benchmarks.raw_store import RawStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROWS = 50

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
    return [item["_id"] for item in ctx.db.query("items").take(200)]
"""

Asked = tuple[str, dict[str, Any]]


def run(options: Options) -> Iterator[Table]:
    seconds = options.seconds(5) / 4
    items = _items(options.count(20_000, 500))
    raw = _Raw(options.folder / "raw", items)
    modules = {"schema": SCHEMA, "items": ITEMS}
    with (
        deployment(options.folder / "served", modules) as served,
        Watch(served) as watch,
    ):
        served.insert("items", items)
        http = _Http(served)
        inside = InProcess(options.folder / "inside", modules)
        inside.insert("items", items)
        yield _table(
            "a point get in a query; ratio to bare SQL (medians)",
            {
                "POST /api/query, new arguments": lambda: http.ask(_one(http.ids)),
                "POST /api/query, the same again": lambda: http.ask(_same(http.ids)),
                "in process, no server": _asking(inside, _one),
                "bare SQL": raw.one,
            },
            seconds,
            watch,
        )
        yield _table(
            f"a range of {ROWS} rows in a query; ratio to bare SQL (medians)",
            {
                "POST /api/query, new arguments": lambda: http.ask(_group(http.ids)),
                "POST /api/query, the same again": lambda: http.ask(
                    ("items:group", SAME)
                ),
                "in process, no server": _asking(inside, _group),
                "bare SQL": raw.group,
            },
            seconds,
            watch,
        )
        inside.close()
        http.close()
    raw.close()


def _table(
    title: str, works: dict[str, Callable[[], object]], seconds: float, watch: Watch
) -> Table:
    took = {
        what: repeat(work, seconds=seconds, at_least=20) for what, work in works.items()
    }
    base = percentile(took["bare SQL"], 50)
    rows = [
        Row(
            what,
            rate(each),
            each,
            memory=watch.peak_memory if "POST" in what else None,
            ratio=percentile(each, 50) / base,
        )
        for what, each in took.items()
    ]
    return Table(title, "query", rows)


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


def _group(_: list[str]) -> Asked:
    return "items:group", {"name": f"g{CHANCE.randrange(5)}", "salt": next(SALT)}


def _asking(
    inside: InProcess, ask: Callable[[list[str]], Asked]
) -> Callable[[], object]:
    ids = inside.query("items:ids", {})

    def work() -> object:
        path, args = ask(ids)
        return inside.query_text(path, msgspec.json.encode(args))

    return work


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
        id_and_time = {"_id": "j" * 32, "_creationTime": 1.0}
        bodies = [msgspec.json.encode(item | id_and_time) for item in items]
        self._store.insert_many(
            bodies, [f"{item['group']}\0".encode() for item in items]
        )
        self._rows = range(1, len(items) + 1)
        self.close = self._store.close

    def one(self) -> bytes:
        return self._store.get(CHANCE.choice(self._rows))

    def group(self) -> list[bytes]:
        return self._store.range(f"g{CHANCE.randrange(5)}\0".encode(), ROWS)
