"""How much longer does news take through Jupyter?

The subscribers of one query of 50 rows, as pages of JupyterLab: over a real Jupyter Server
with a base URL, which hands their connections to the deployment; the same where it cannot,
and relays their frames; and straight to the same deployment, which is the reference.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.bench_commit_to_subscribers import ITEMS, OPENING, ROWS, SCHEMA
from tests.benchmarks.deployments import call, deployment
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.benchmarks.subscribers import Audience, listen
from tests.journeys.proxies import jupyter, nobody_takes_connections

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
        jupyter(options.folder, root) as server,
    ):
        item = served.run("mutation", "items:seed", count=ROWS)
        body = call("items:touch", id=item, stamp="STAMP").decode()
        beneath = f"{server.url}convex/c/{served.url.rpartition('/')[2]}"
        for size in (1, 10) if options.smoke else (1, 100, 1000):
            hear = partial(_heard, size, options.count(200, 3), body)
            straight, handed = hear(served.url), hear(beneath)
            with nobody_takes_connections(folder):
                relayed = hear(beneath)
            table.rows += _rows(size, straight, handed, relayed)
    yield table


def _heard(size: int, rounds: int, body: str, url: str) -> list[float]:
    opening = [json.dumps(message) for message in OPENING]
    socket, post = "/api/1.48.0/sync", "/api/mutation"
    audience = Audience(
        url, size, rounds, socket, opening, '"QueryUpdated"', post, body
    )
    return listen(audience).last_from_sending


def _rows(
    size: int, straight: list[float], handed: list[float], relayed: list[float]
) -> list[Row]:
    base = percentile(straight, 50)

    def row(what: str, each: list[float]) -> Row:
        rate = size * len(each) / sum(each) * 1e3
        return Row(what, rate, each, None, None, percentile(each, 50) / base)

    return [
        row(f"N = {size:,}: through Jupyter", handed),
        row("  … its frames relayed", relayed),
        row("  without Jupyter", straight),
    ]
