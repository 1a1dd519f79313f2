"""How does the cost of a get, a range and a commit grow with the table?

Of 10,000 documents, ten, a hundred and five hundred times as many, with two indexes.
Each is asked for what is spread over all of it: any document by its id, the newest 50
of any group of 100 (both with all that a reader does for a query), and a mutation that
changes any document, each commit durable before the next. All sizes have their turns in
one run, and the reference is the smallest; the same reads in bare SQL on the same file
tell how much of the growth is the machine's, whose caches hold a small table whole.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import apsw
import msgspec
from tests.benchmarks import large_store
from tests.benchmarks.figures import Options, Row, Table, alternate, percentile, rate
from tests.benchmarks.in_process import InProcess, settle_garbage
from tests.benchmarks.plot import lines_over_sizes

from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.engine.interval import after_prefix
from convexlab.engine.persistence.sqlite_reads import STORE_FILE, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
GROUP = 100
# How many ids are asked for: more than any cache of ours keeps.
IDS = 50_000

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "items": define_table({"group": v.string(), "n": v.number(), "text": v.string()})
    .index("by_group", ["group"])
    .index("by_n", ["n"]),
})
"""

ITEMS = """
from convexlab import Doc, Id, MutationCtx, QueryCtx, mutation, query


@query
def one(ctx: QueryCtx, id: Id.items) -> Doc | None:
    return ctx.db.get(id)


@query
def group(ctx: QueryCtx, name: str) -> list[Doc]:
    return ctx.db.query("items").with_index("by_group", group=name).order("desc").take(50)


@query
def below(ctx: QueryCtx, n: int) -> str | None:
    found = (ctx.db.query("items").with_index("by_n", lambda q: q.lt("n", n))
             .order("desc").first())
    return found and found["_id"]


@mutation
def change(ctx: MutationCtx, id: Id.items, n: int):
    ctx.db.patch(id, {"n": n})
"""

MODULES = {"schema": SCHEMA, "items": ITEMS}


GET = """
    SELECT CAST(d.body AS BLOB) FROM index_entries e
    JOIN documents d ON d.row = e.document WHERE e.index_id = ? AND e.key = ?"""
RANGE = """
    SELECT CAST(d.body AS BLOB) FROM index_entries e
    CROSS JOIN documents d ON d.row = e.document
    WHERE e.index_id = ? AND e.key >= ? AND e.key < ? ORDER BY e.key DESC LIMIT 50"""

Works = dict[str, "Callable[[], object]"]


def run(options: Options) -> Iterator[Table]:
    sizes = (500, 2_000) if options.smoke else SIZES
    tables = [_Grown(options.folder / f"{size}", size) for size in sizes]
    settle_garbage()
    works: dict[str, Callable[[], object]] = {
        f"{what} {table.size}": work
        for table in tables
        for what, work in table.works().items()
    }
    took = alternate(works, seconds=options.seconds(4), at_least=20)
    names = list(tables[0].works())
    for what in names:
        base = percentile(took[f"{what} {sizes[0]}"], 50)
        yield Table(
            f"{what}; ratio to {sizes[0]:,} documents (medians)",
            "operation",
            [
                Row(
                    f"{size:,} documents",
                    rate(took[f"{what} {size}"]),
                    took[f"{what} {size}"],
                    ratio=percentile(took[f"{what} {size}"], 50) / base,
                )
                for size in sizes
            ],
        )
    for table in tables:
        table.close()
    if options.plots is not None:
        lines = {
            what: [percentile(took[f"{what} {size}"], 50) for size in sizes]
            for what in names
        }
        plot = lines_over_sizes("Median cost by the size of the table", sizes, lines)
        (options.plots / "cost-growth.svg").write_text(plot)


class _Grown:
    """A table of some size, and what is asked of it."""

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self._groups = max(1, size // GROUP)
        large_store.fill(folder, MODULES, "items", size, self._document)
        self._functions = InProcess(folder, MODULES)
        self._bare = connect(folder / STORE_FILE, flags=apsw.SQLITE_OPEN_READONLY)
        self._index = self._functions.committer.catalog.tables["items"].indexes
        self._ids = self._some_ids()
        self._chance = random.Random(7)

    def _document(self, n: int) -> dict[str, Any]:
        return {"group": f"g{n % self._groups}", "n": n, "text": "x" * 60}

    def _some_ids(self) -> list[str]:
        """Ids of documents from all over the table, found by an index."""
        step = max(1, self.size // IDS)
        find = self._functions.query
        return [find("items:below", {"n": n + 1}) for n in range(0, self.size, step)]

    def works(self) -> Works:
        """What is measured, by name."""
        return {
            "get": lambda: self._ask("items:one", id=self._id()),
            "get in bare SQL": self._bare_get,
            "range of 50": lambda: self._ask("items:group", name=self._group()),
            "range in bare SQL": self._bare_range,
            "commit": self._change,
        }

    def _id(self) -> str:
        return self._chance.choice(self._ids)

    def _group(self) -> str:
        return f"g{self._chance.randrange(self._groups)}"

    def _ask(self, path: str, **args: Any) -> None:
        self._functions.answer(path, msgspec.json.encode(args))

    def _change(self) -> None:
        args = {"id": self._id(), "n": self._chance.randrange(self.size)}
        self._functions.change("items:change", msgspec.json.encode(args))

    def _bare_get(self) -> None:
        key = (self._index["by_id"].id, decode_id(self._id())[1])
        ((body,),) = self._bare.execute(GET, key).fetchall()
        msgspec.json.decode(body)

    def _bare_range(self) -> None:
        group = encode_key(self._group())
        key = (self._index["by_group"].id, group, after_prefix(group))
        found = self._bare.execute(RANGE, key).fetchall()
        assert len(found) == min(50, self.size // self._groups), len(found)
        for (body,) in found:
            msgspec.json.decode(body)

    def close(self) -> None:
        """Close the store."""
        self._bare.close()
        self._functions.close()
