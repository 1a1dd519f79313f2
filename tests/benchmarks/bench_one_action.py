"""What does an action cost, beside a request to a server that only echoes?

An action is a request, a hop to its process and back, and two more hops for each call
that it makes: a query adds a run in a reader, a mutation its commit. The first action
of all waits for its process and for the modules in it.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from tests.benchmarks import wire
from tests.benchmarks.deployments import Watch, call, deployment
from tests.benchmarks.echo import echo
from tests.benchmarks.figures import Options, Row, Table, alternate, percentile, rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.deployments import Deployment

MODULES = {
    "m": """
from convexlab import action, mutation, query


@query
def get(ctx, n: int):
    return n


@mutation
def put(ctx, n: int):
    ctx.db.insert("notes", {"n": n})


@action
async def nothing(ctx):
    return None


@action
def nothing_plain(ctx):
    return None


@action
async def with_query(ctx):
    return await ctx.run_query(get, n=1)


@action
async def with_mutation(ctx):
    return await ctx.run_mutation(put, n=1)
""",
    "http": """
from convexlab import Response, http_router

http = http_router()


@http.route("/echo", method="POST")
async def echo(ctx, request):
    return Response(await request.bytes())


@http.route("/plain", method="POST")
def plain(ctx, request):
    return Response(request.bytes())
""",
}
REFERENCE = "an echo server"
BODY = b"x" * 100


def run(options: Options) -> Iterator[Table]:
    with (
        deployment(options.folder / "served", MODULES) as served,
        Watch(served) as watch,
        contextlib.closing(_Asker(served)) as asker,
        echo() as reference,
    ):
        first = {
            "the first action of all, `async def`": _timed(asker.of("m:nothing")),
            "the first plain one": _timed(asker.of("m:nothing_plain")),
        }
        works: dict[str, Callable[[], object]] = {
            "an action that calls a mutation": asker.of("m:with_mutation"),
            "an action that calls a query": asker.of("m:with_query"),
            "a plain action": asker.of("m:nothing_plain"),
            "an `async def` action": asker.of("m:nothing"),
            "a plain HTTP action": lambda: asker.post("/http/plain"),
            "an `async def` HTTP action": lambda: asker.post("/http/echo"),
            REFERENCE: lambda: reference.ask("/", BODY),
        }
        took = alternate(works, seconds=options.seconds(10) / len(works), at_least=20)
        base = percentile(took[REFERENCE], 50)
        rows = [
            Row(
                what,
                rate(each),
                each,
                memory=None if what == REFERENCE else watch.peak_memory,
                ratio=percentile(each, 50) / base,
            )
            for what, each in took.items()
        ]
        notes = [f"{what}: {each:.0f} ms" for what, each in first.items()]
        title = f"one action over HTTP; ratio to {REFERENCE} (medians)"
        yield Table(title, "action", rows, notes)


class _Asker:
    def __init__(self, served: Deployment) -> None:
        self._connection = served.connect()
        self._prefix = wire.place_of(served.url)[2]

    def of(self, path: str) -> Callable[[], None]:
        """What calls an action."""
        message = wire.request(f"{self._prefix}/api/action", call(path))

        def ask() -> None:
            said = self._connection.send(message)
            assert b'"status":"success"' in said, said[:300]

        return ask

    def post(self, path: str) -> None:
        """A request to an HTTP action."""
        said = self._connection.ask(path, BODY)
        assert said == BODY, said[:300]

    def close(self) -> None:
        self._connection.close()


def _timed(work: Callable[[], object]) -> float:
    """How many milliseconds something takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3
