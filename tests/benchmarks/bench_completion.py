"""How long does a completion take that asks the deployment what it has?

In an IPython, after a change each time, so that nothing is remembered; of 40 tables with
ten fields each and 160 functions. The reference is IPython's own completion of a module's
attribute.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from tests.benchmarks.deployments import deployment
from tests.benchmarks.figures import Options, Row, Table, percentile

from convexlab_kernel.client import Database
from convexlab_kernel.completion import matcher
from convexlab_kernel.discovery import Address
from convexlab_kernel.notebook import Notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLES = range(40)
FIELDS = "".join(f'"field{n}": v.string(), ' for n in range(10))
SCHEMA = (
    "from convexlab import define_schema, define_table, v\n"
    "schema = define_schema({\n"
    + "".join(
        f'  "table{n}": define_table({{{FIELDS}}}).index("by_field", ["field0"]),\n'
        for n in TABLES
    )
    + "})\n"
)
MODULE = "from convexlab import query\n" + "".join(
    f"@query\ndef f{n}(ctx, first: str, second: int = 0): ...\n" for n in range(4)
)
IN_MODULE = "%%convex x\ndef f(ctx):\n    return "
CASES = {
    "a function's name": "%convex run module7:",
    "an argument's name": '%convex run module7:f1 {"fi',
    "a table's name": f'{IN_MODULE}ctx.db.query("table1',
    "a field's name": f'{IN_MODULE}ctx.db.query("table7").order_by("fie',
}


def run(options: Options) -> Iterator[Table]:
    modules = {"schema": SCHEMA, **{f"module{n}": MODULE for n in TABLES}}
    with deployment(options.folder / "served", modules) as served:
        url, _, secret = served.url.partition("/c/")
        with Database(Address("bench", url, served.admin_key, secret or None)) as db:
            yield _table(db, options.count(100, 3))


def _table(db: Database, rounds: int) -> Table:
    shell = InteractiveShell()
    notebook = Notebook(shell)
    notebook._databases[None] = db
    shell.Completer.custom_matchers.append(matcher(notebook))
    shell.user_ns["time"] = time
    own = _times(partial(_complete, shell, "time.mon"), db, rounds)
    rows = [
        _row(what, _times(partial(_complete, shell, text), db, rounds), own)
        for what, text in CASES.items()
    ]
    title = "from a keystroke until its completions; ratio of medians to IPython's own"
    return Table(title, "completion", [*rows, _row("IPython's own", own, own)])


def _row(what: str, each: list[float], own: list[float]) -> Row:
    ratio = percentile(each, 50) / percentile(own, 50)
    return Row(what, len(each) / sum(each) * 1e3, each, ratio=ratio)


def _times(complete: Callable[[], None], db: Database, rounds: int) -> list[float]:
    each = []
    for n in range(rounds):
        db.table("changes").insert([{"n": n}], progress=False)
        began = time.perf_counter()
        complete()
        each.append((time.perf_counter() - began) * 1e3)
    return each


def _complete(shell: InteractiveShell, text: str) -> None:
    with provisionalcompleter():
        found = list(shell.Completer.completions(text, len(text)))
    assert found, text
