"""How fast do a million small documents get into a table with two indexes, from a file?

By what `convexlab import` does with a file of rows: lines of JSON, `POST /api/import`, a
reader that prepares, the writer that writes. Memory is told at every tenth of the way. The reference is raw
`executemany` of the same rows, already JSON text, into a table with two indexes.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import msgspec
from tests.benchmarks.deployments import Deployment, Watch, deployment, parts_of_memory
from tests.benchmarks.figures import Options, Row, Table
from tests.benchmarks.raw_store import RawStore

import convexlab
from convexlab_kernel import importing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENTS = 1_000_000
STEPS = 10

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "items": define_table({"group": v.string(), "n": v.number(), "text": v.string()})
    .index("by_group", ["group"])
    .index("by_n", ["n"]),
})
"""

ITEMS = """
from convexlab import query


@query
def in_group(ctx, group: str) -> int:
    return ctx.db.query("items").with_index("by_group", group=group).count()


@query
def below(ctx, n: int) -> int:
    return ctx.db.query("items").with_index("by_n", lambda q: q.lt("n", n)).count()
"""


def run(options: Options) -> Iterator[Table]:
    count = options.count(DOCUMENTS, 5_000)
    file = options.folder / "items.jsonl"
    _write(file, count)
    reference = _reference(options.folder / "raw", file)
    with deployment(
        options.folder / "served", {"schema": SCHEMA, "items": ITEMS}
    ) as served:
        steps = _Steps(served, count)
        with Watch(served) as watch:
            took = _import(served, file, steps)
        in_group = served.run("query", "items:in_group", group="g7")
        below = served.run("query", "items:below", n=1000)
        assert (in_group, below) == (len(range(7, count, _groups(count))), 1000)
        assert reference.rate is not None
        rate = count / took
        yield Table(
            f"import of {count:,} documents with two indexes; "
            "ratio to raw SQLite executemany",
            "document",
            [
                Row(
                    "convexlab import (its client here)",
                    rate,
                    memory=watch.peak_memory,
                    ratio=rate / reference.rate,
                ),
                reference,
            ],
            [
                f"{took:.1f} s; WAL {watch.wal():.1f} MB at the end, "
                f"{watch.largest_wal:.1f} MB at most",
                watch.cpu(count),
                *steps.notes,
            ],
        )


def _groups(count: int) -> int:
    return max(8, count // 1000)


def _write(file: Path, count: int) -> None:
    numbers = list(range(count))
    random.Random(7).shuffle(numbers)
    groups = _groups(count)
    with file.open("wb") as lines:
        for at, n in enumerate(numbers):
            document = {"group": f"g{at % groups}", "n": n, "text": "x" * 60}
            lines.write(msgspec.json.encode(document) + b"\n")


def _import(served: Deployment, file: Path, steps: _Steps) -> float:
    attachment = convexlab.connect(served.url, admin_key=served.admin_key).attachment
    began = time.perf_counter()
    written = importing.insert(
        attachment, "items", importing.file_batches(file), progress=steps
    )
    assert written == steps.count, f"{written} of {steps.count} documents"
    return time.perf_counter() - began


class _Steps:
    """Told how far the import has come, notes at every tenth what each process holds."""

    def __init__(self, served: Deployment, count: int) -> None:
        self.count = count
        self.notes: list[str] = []
        self._served = served
        self._roles = served.roles()
        self._step = max(1, count // STEPS)
        self._done = 0
        self._began = time.perf_counter()

    def update(self, n: int, /) -> None:
        before, self._done = self._done, self._done + n
        if self._done // self._step > before // self._step:
            self._note()

    def _note(self) -> None:
        now, self._began = time.perf_counter() - self._began, time.perf_counter()
        held = []
        for process in self._served.family():
            own, resident = parts_of_memory(process)
            held.append(
                f"{self._roles.get(process.pid, 'other')} {own:.0f} ({resident:.0f})"
            )
        self.notes.append(
            f"{self._done:>9,}: {self._step / now:>7,.0f}/s; own memory (with the file's "
            f"mapped pages) in MB: {', '.join(held)}"
        )


def _reference(folder: Path, file: Path) -> Row:
    """The same rows as text, ready, into raw SQLite."""
    bodies = file.read_bytes().splitlines()
    documents = msgspec.json.decode(b"[%b]" % b",".join(bodies))
    groups = [document["group"].encode() + b"\0" for document in documents]
    numbers = [document["n"].to_bytes(8, "big") for document in documents]
    del documents
    store = RawStore(folder)
    began = time.perf_counter()
    store.insert_many(bodies, groups, numbers)
    took = time.perf_counter() - began
    store.close()
    return Row(
        "raw SQLite executemany, text ready, 4,096 a transaction",
        len(bodies) / took,
        ratio=1.0,
    )
