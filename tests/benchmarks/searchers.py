"""A deployment with texts, and who searches them over HTTP: one caller, or sixteen."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, Self

import uvloop
from tests.benchmarks import wire
from tests.benchmarks.deployments import Deployment, call
from tests.benchmarks.sentences import KINDS, OWNERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CALLERS = 16
# How many searches a run makes where only `ctx` is to be measured.
TIMES = 20
_BUILT_SECONDS = 900.0

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "texts": define_table({"body": v.string(), "owner": v.number(), "kind": v.number()})
    .search_index("said", search_field="body", filter_fields=["owner", "kind"]),
})
"""

FUNCTIONS = """
from convexlab import mutation, query


def found(ctx, text: str):
    return (
        ctx.db.query("texts")
        .with_search_index("said", lambda q: q.search("body", text))
        .take(10)
    )


@query
def best(ctx, text: str, salt: int):
    return found(ctx, text)


@query
def several(ctx, texts: list[str], salt: int) -> int:
    return sum(len(found(ctx, text)) for text in texts)


@query
def nothing(ctx, text: str, salt: int) -> str:
    return text


@mutation
def insert_and_find(ctx, text: str) -> int:
    ctx.db.insert("texts", {"body": f"a {text} text", "owner": 0, "kind": 0})
    return len(found(ctx, text))
"""


class Searchers:
    """See the module; a context.

    Args:
        folder: for the deployment.
        texts: that are there, indexed.
        rest_seconds: how long its segments must have been the same; nothing is gathered
            before two seconds, and that takes some more.
    """

    def __init__(
        self, folder: Path, texts: Sequence[str], *, rest_seconds: float
    ) -> None:
        self._rest_seconds = rest_seconds
        self._folder = folder / "served"
        self._texts = texts
        # N.B. what was asked before would be answered from what is kept.
        self._salt = itertools.count()

    def __enter__(self) -> Self:
        served = self._served = Deployment(self._folder)
        served.wait()
        served.push({"schema": SCHEMA, "m": FUNCTIONS})
        served.insert(
            "texts",
            [
                {"body": text, "owner": number % OWNERS, "kind": number % KINDS}
                for number, text in enumerate(self._texts)
            ],
        )
        self._connection = served.connect()
        self._host, self._port, self._prefix = wire.place_of(served.url)
        self._wait_until_built()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._served.stop()

    def _wait_until_built(self) -> None:
        """N.B. a query waits ten seconds for an index that is being built."""
        end = time.monotonic() + _BUILT_SECONDS
        while b'"success"' not in self._send(self._request("m:best", text="a")):
            assert time.monotonic() < end, "the index was not built"
        self._wait_until_at_rest(end)

    def _wait_until_at_rest(self, end: float) -> None:
        """As it is when nothing has been written for a while: its segments gathered."""
        before = (0, 0.0)
        while before[1] < self._rest_seconds:
            assert time.monotonic() < end, "the index did not come to rest"
            time.sleep(0.5)
            segments = self.segments()
            before = (segments, before[1] + 0.5 if segments == before[0] else 0.0)

    # -- one caller -------------------------------------------------------------------

    def one(self, text: str) -> None:
        self._ask("query", "m:best", text=text)

    def several(self, texts: list[str]) -> None:
        self._ask("query", "m:several", texts=texts)

    def insert_and_find(self, word: str) -> None:
        self._expect(b'"value":1', "mutation", "m:insert_and_find", text=word)

    def find_one(self, word: str) -> None:
        self._expect(b'"value":1', "query", "m:several", texts=[word])

    def _ask(self, kind: str, path: str, **args: Any) -> bytes:
        return self._expect(b'"status":"success"', kind, path, **args)

    def _expect(self, wanted: bytes, kind: str, path: str, **args: Any) -> bytes:
        if kind == "query":
            args["salt"] = next(self._salt)
        said = self._send(self._request(path, kind, **args))
        assert wanted in said, said[:300]
        return said

    def _send(self, request: bytes) -> bytes:
        return self._connection.send(request)

    def _request(self, path: str, kind: str = "query", **args: Any) -> bytes:
        if kind == "query":
            args.setdefault("salt", next(self._salt))
        return wire.request(f"{self._prefix}/api/{kind}", call(path, **args))

    # -- many ---------------------------------------------------------------------------

    def crowd(self, texts: Sequence[str], *, each: int, seconds: float) -> list[float]:
        """Searches of sixteen callers, one after another of each; a call's ms.

        Args:
            texts: what is looked for, again and again.
            each: how many searches a call makes; 0: it makes none, and gives the text.
            seconds: for how long.
        """
        return uvloop.run(self._crowd(self._requests(texts, each), seconds))

    def _requests(self, texts: Sequence[str], each: int) -> Iterator[bytes]:
        endless = itertools.cycle(texts)
        while True:
            if each > 1:
                some = list(itertools.islice(endless, each))
                yield self._request("m:several", texts=some)
            else:
                path = "m:best" if each else "m:nothing"
                yield self._request(path, text=next(endless))

    async def _crowd(self, requests: Iterator[bytes], seconds: float) -> list[float]:
        loop, clock = asyncio.get_running_loop(), time.perf_counter
        took: list[float] = []
        sent: dict[wire.Caller, float] = {}
        failures: list[bytes] = []
        end = clock() + seconds

        def ask(caller: wire.Caller) -> None:
            sent[caller] = clock()
            caller.ask(next(requests))

        def answered(caller: wire.Caller, body: bytes) -> None:
            if b'"status":"success"' not in body:
                failures.append(body)
            elif clock() < end:
                took.append((clock() - sent[caller]) * 1e3)
                ask(caller)

        callers = [
            (
                await loop.create_connection(
                    lambda: wire.Caller(answered), self._host, self._port
                )
            )[1]
            for _ in range(CALLERS)
        ]
        for caller in callers:
            ask(caller)
        await asyncio.sleep(seconds)
        for caller in callers:
            caller.transport.close()
        assert not failures, failures[0][:300]
        return took

    # -- what it cost -------------------------------------------------------------------

    def segments(self) -> int:
        """How many segments the index has."""
        (follower,) = self._served.ask("/api/convexlab/status")["followers"]
        (index,) = follower["indexes"]
        found: int = index["segments"]
        return found

    def costs(self) -> Costs:
        """The CPU time that is taken while this context is entered."""
        return Costs(self._served)


class Costs:
    """The CPU time that each process of a deployment takes, and its caller.

    It is a context, and may be entered again and again.

    Args:
        served: the deployment.
    """

    def __init__(self, served: Deployment) -> None:
        self._served = served
        self._took: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._before, self._own = self._served.cpu_seconds(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        roles = self._served.roles()
        self._add("the caller", time.process_time() - self._own)
        for pid, seconds in self._served.cpu_seconds().items():
            self._add(roles[pid], seconds - self._before.get(pid, 0))

    def _add(self, role: str, seconds: float) -> None:
        self._took[role] = self._took.get(role, 0.0) + seconds

    def of_each(self, count: int) -> str:
        """What each of so many searches took, for people."""
        costs = [
            (role, 1e6 * seconds / max(count, 1))
            for role, seconds in self._took.items()
        ]
        return "CPU time of each search: " + ", ".join(
            f"{role} {cost:.0f} µs" for role, cost in costs if cost >= 1
        )
