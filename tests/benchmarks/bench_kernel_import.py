"""How long does a fresh kernel wait for `%load_ext convexlab`?

For the import alone, and for all of it: the deployment, which runs, is found and says
what is in it. Clocked inside a process that has what every kernel has. The reference
is importing pandas in such a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.benchmarks.deployments import Deployment, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET_MS = 300
# What a kernel has loaded before its first cell.
KERNEL = "import time, ipykernel.ipkernel; from IPython import InteractiveShell; shell = InteractiveShell()"
CLOCKED = "began = time.perf_counter(); {}; print('took', time.perf_counter() - began)"
IMPORT = "from convexlab import load_ipython_extension"
LOAD = "shell.run_line_magic('load_ext', 'convexlab')"
HEAVY = ("aiohttp", "apsw", "duckdb", "numpy", "pandas", "polars", "pyarrow")


def run(options: Options) -> Iterator[Table]:
    times = options.count(11, 1)
    with deployment(options.folder / "served", {}) as served:
        took: dict[str, list[float]] = {
            statement: [] for statement in ("import pandas", "pass", IMPORT, LOAD)
        }
        for _ in range(times):  # in turns: the machine is the same for each
            for statement, of in took.items():
                of.append(_clocked(statement, served))
        loaded = _run(
            f"{LOAD}; import sys; print([n for n in {HEAVY} if n in sys.modules])",
            served,
        )
    base = percentile(took["import pandas"], 50)

    def row(name: str, statement: str) -> Row:
        of = took[statement]
        return Row(name, None, of, ratio=percentile(of, 50) / base)

    yield Table(
        "in a process that has what every kernel has; ratio to `import pandas` (medians)",
        "statement",
        [
            row("import of the extension", IMPORT),
            row("%load_ext convexlab, where a deployment runs", LOAD),
            row("import pandas", "import pandas"),
            row("pass", "pass"),
        ],
        [
            f"target: import < {TARGET_MS} ms; of {', '.join(HEAVY)} it loads {loaded[-1]}"
        ],
    )


def _clocked(statement: str, served: Deployment) -> float:
    """What a statement takes in a fresh process, in ms."""
    (said,) = [
        line
        for line in _run(CLOCKED.format(statement), served)
        if line.startswith("took ")
    ]
    return float(said.split()[1]) * 1e3


def _run(statement: str, served: Deployment) -> list[str]:
    program = f"{KERNEL}\n{statement}"
    key = {"CONVEXLAB_URL": served.url, "CONVEXLAB_ADMIN_KEY": served.admin_key}
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **key},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()
