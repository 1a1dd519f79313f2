"""How much memory does a deployment hold that has answered once and now rests?

Each process by its proportional share (PSS), so that what they share counts once.
The reference is a bare Python interpreter.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
from tests.benchmarks.bench_durable_mutations_a_second import ACCOUNTS, SCHEMA
from tests.benchmarks.deployments import deployment, memory_of
from tests.benchmarks.figures import Options, Row, Table

if TYPE_CHECKING:
    from collections.abc import Iterator


def run(options: Options) -> Iterator[Table]:
    bare = _bare()
    with deployment(
        options.folder / "served", {"schema": SCHEMA, "accounts": ACCOUNTS}
    ) as served:
        served.run("mutation", "accounts:seed", count=10, credits=1.0)
        page = {"numItems": 100, "cursor": None}
        served.run("query", "accounts:total", paginationOpts=page)
        time.sleep(0.2 if options.smoke else 5)
        family = served.family()
        roles = served.roles()
        pss = {process: memory_of(process) for process in family}
        rows = [
            Row(
                f"{roles[process.pid]} (RSS {rss:.0f} MB)",
                memory=share,
                ratio=share / bare,
            )
            for process, (share, rss) in pss.items()
        ]
        total = sum(share for share, _ in pss.values())
        threads = ", ".join(str(process.num_threads()) for process in family)
        yield Table(
            "memory at rest (PSS); ratio to a bare Python interpreter",
            "-",
            [
                *rows,
                Row(f"all {len(family)} processes", memory=total, ratio=total / bare),
                Row("python, nothing imported", memory=bare, ratio=1.0),
            ],
            [f"threads: {threads}"],
        )


def _bare() -> float:
    """A bare interpreter's proportional memory in MB."""
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    share, _ = memory_of(psutil.Process(process.pid))
    process.communicate()
    return share
