"""How much longer does news take through Jupyter's relay?

The subscribers of one query of 50 rows, as pages of JupyterLab: over the relay of a real
Jupyter Server with a base URL, and beside that straight to the same deployment, which is
the reference.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.benchmarks.bench_commit_to_subscribers import ITEMS, OPENING, ROWS, SCHEMA
from tests.benchmarks.deployments import call, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.benchmarks.subscribers import Audience, listen
from tests.journeys.proxies import jupyter

if TYPE_CHECKING:
    from collections.abc import Iterator


def run(options: Options) -> Iterator[Table]:
    table = Table(
        "from sending a mutation until the last of N subscribers has the Transition; "
        "ratio of medians to the same without Jupyter between",
        "delivery",
    )
    root = options.folder / "notebooks"
    folder = root / ".convexlab" / "local"
    modules = {"schema": SCHEMA, "items": ITEMS}
    with (
        deployment(folder, modules, "--detached") as served,
        jupyter(options.folder, root) as base,
    ):
        item = served.run("mutation", "items:seed", count=ROWS)
        body = call("items:touch", id=item, stamp="STAMP").decode()
        relayed = f"{base}convex/c/{served.url.rpartition('/')[2]}"
        for size in (1, 10) if options.smoke else (1, 100, 1000):
            table.rows += _rows(size, options.count(200, 3), body, relayed, served.url)
    yield table


def _rows(size: int, rounds: int, body: str, relayed: str, direct: str) -> list[Row]:
    opening = [json.dumps(message) for message in OPENING]

    def heard(url: str) -> list[float]:
        socket, post = "/api/1.48.0/sync", "/api/mutation"
        ready = '"QueryUpdated"'
        audience = Audience(url, size, rounds, socket, opening, ready, post, body)
        return listen(audience).last_from_sending

    reference, through = heard(direct), heard(relayed)
    base = percentile(reference, 50)

    def row(what: str, each: list[float]) -> Row:
        rate = size * len(each) / sum(each) * 1e3
        return Row(what, rate, each, None, None, percentile(each, 50) / base)

    return [
        row(f"N = {size:,}: through Jupyter", through),
        row("  without", reference),
    ]
