"""How long from starting `convexlab serve` until the first query answers?

Over a folder whose modules were pushed before, empty and with 100,000 documents. The
reference is Python itself, importing the web server's library and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.benchmarks.deployments import Deployment, call, deployment, memory_of
from tests.benchmarks.figures import Options, Row, Table, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "items": define_table({"group": v.string(), "n": v.number(), "text": v.string()})
    .index("by_group", ["group"]),
})
"""

ITEMS = """
from convexlab import query


@query
def newest(ctx):
    return ctx.db.query("items").with_index("by_group", group="a").order("desc").first()
"""


def run(options: Options) -> Iterator[Table]:
    times = options.count(7, 1)
    imports = [_python("import aiohttp") for _ in range(times)]
    bare = [_python("pass") for _ in range(times)]
    reference = percentile(imports, 50)
    table = Table(
        "from starting `convexlab serve` to the first query's answer; "
        "ratio to `python -c 'import aiohttp'` (medians)",
        "start",
    )
    for documents in (500,) if options.smoke else (0, 100_000):
        folder = options.folder / f"served-{documents}"
        _fill(folder, documents)
        took, memory = zip(*(_start(folder) for _ in range(times)), strict=True)
        ratio = percentile(took, 50) / reference
        table.rows.append(
            Row(f"{documents:,} documents", None, took, memory=max(memory), ratio=ratio)
        )
    table.rows.append(Row("python -c 'import aiohttp'", None, imports, ratio=1.0))
    table.rows.append(
        Row("python -c pass", None, bare, ratio=percentile(bare, 50) / reference)
    )
    yield table


def _fill(folder: Path, documents: int) -> None:
    with deployment(folder, {"schema": SCHEMA, "items": ITEMS}) as served:
        text = "x" * 120
        rows = [
            {"group": "abc"[at % 3], "n": at, "text": text} for at in range(documents)
        ]
        served.insert("items", rows)


def _start(folder: Path) -> tuple[float, float]:
    """Milliseconds until the first answer, and MB then."""
    served = Deployment(folder)
    try:
        served.wait()
        connection = served.connect()
        said = connection.ask("/api/query", call("items:newest"))
        took = (time.perf_counter() - served.began) * 1e3
        connection.close()
        assert b'"status":"success"' in said, said[:300]
        return took, sum(memory_of(process)[0] for process in served.family())
    finally:
        served.stop()


def _python(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - began) * 1e3
