"""A deployment with vectors, and who searches them over HTTP: one caller, or sixteen."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, Self

import msgspec
import uvloop
from tests.benchmarks import large_store, wire
from tests.benchmarks.deployments import Deployment
from tests.benchmarks.searchers import Searchers

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_BUILT_SECONDS = 1800.0
# A deployment is at rest that took at most this share of a core, at each look, for so long.
_STILL_SHARE = 0.06
_STILL_SECONDS = 1.5 * knobs.FOLLOWER_IDLE_SECONDS
_LOOK_SECONDS = 0.5

SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({{
    "items": define_table({{
        "n": v.number(), "owner": v.number(), "e": v.array(v.float64()),
    }}).vector_index(
        "near", vector_field="e", dimensions={dimensions}, filter_fields=["owner"],
    ),
}})
"""

FUNCTIONS = """
from convexlab import action, query


def found(ctx, e):
    return ctx.db.query("items").with_vector_index("near", e, limit=10).collect()


@query
def best(ctx, e: list[float], salt: int):
    return [[d["n"], d["_score"]] for d in found(ctx, e)]


@query
def several(ctx, es: list[list[float]], salt: int) -> int:
    return sum(len(found(ctx, e)) for e in es)


@action
async def hits(ctx, es: list[list[float]], salt: int) -> int:
    return sum([len(await ctx.vector_search("items", "near", vector=e)) for e in es])
"""


class Nearest(Searchers):
    """See the module; a context.

    Args:
        folder: for the deployment.
        vectors: that are there, as a NumPy array.
    """

    def __init__(self, folder: Path, vectors: Any) -> None:
        super().__init__(folder, [], rest_seconds=0.0)
        self._vectors = vectors

    def __enter__(self) -> Self:
        modules = {
            "schema": SCHEMA.format(dimensions=self._vectors.shape[1]),
            "m": FUNCTIONS,
        }
        count = len(self._vectors)
        large_store.fill(self._folder, modules, "items", count, self._document)
        served = self._served = Deployment(self._folder)
        served.wait()
        self._connection = served.connect()
        self._host, self._port, self._prefix = wire.place_of(served.url)
        self._wait_until_there(count)
        return self

    def _document(self, number: int) -> dict[str, Any]:
        vector = self._vectors[number].tolist()
        return {"n": number, "owner": number % 100, "e": vector}

    def _wait_until_there(self, count: int) -> None:
        end = time.monotonic() + _BUILT_SECONDS
        while not self._is_there(count):
            assert time.monotonic() < end, "the index was not built"
            time.sleep(0.1)

    def _is_there(self, count: int) -> bool:
        return any(
            index["vectors"] == count and not index["isBuilding"]
            for index in self._indexes()
        )

    def _indexes(self) -> list[dict[str, Any]]:
        followers = self._served.ask("/api/convexlab/status")["followers"]
        return [
            index for follower in followers for index in follower.get("indexes", ())
        ]

    def probes(self) -> int:
        """How many lists it searches, which it measured by itself."""
        (index,) = self._indexes()
        found: int = index["probes"]
        return found

    def come_to_rest(self) -> None:
        """Return when its processes stand still: no index is written, no spare starts.

        N.B. an index is written a while after the last commit.
        """
        end = time.monotonic() + _BUILT_SECONDS
        since, before = time.monotonic(), self._processor_seconds()
        while time.monotonic() - since < _STILL_SECONDS:
            assert time.monotonic() < end, "it did not come to rest"
            time.sleep(_LOOK_SECONDS)
            now = self._processor_seconds()
            if now - before > _STILL_SHARE * _LOOK_SECONDS:
                since = time.monotonic()
            before = now

    def _processor_seconds(self) -> float:
        return sum(self._served.cpu_seconds().values())

    def one(self, vector: Any) -> None:
        """One search in a query."""
        self._ask("query", "m:best", e=vector.tolist())

    def several(self, vectors: Any) -> None:
        """Many searches in a query."""
        self._ask("query", "m:several", es=[vector.tolist() for vector in vectors])

    def by_action(self, vectors: Any) -> None:
        """Many searches in an action."""
        es = [vector.tolist() for vector in vectors]
        self._ask("action", "m:hits", es=es, salt=0)

    def crowd_of_actions(
        self, vectors: Any, *, each: int, seconds: float
    ) -> list[float]:
        """As `crowd`, by actions."""
        return uvloop.run(self._crowd(self._actions(vectors, each), seconds))

    def _requests(self, texts: Sequence[Any], each: int) -> Iterator[bytes]:
        for es in _so_many(texts, each):
            if each == 1:
                yield self._request("m:best", e=es[0])
            else:
                yield self._request("m:several", es=es)

    def _actions(self, vectors: Any, each: int) -> Iterator[bytes]:
        for es in _so_many(vectors, each):
            yield self._request("m:hits", "action", es=es, salt=0)


def _so_many(vectors: Any, each: int) -> Iterator[list[msgspec.Raw]]:
    """So many of them at a time, again and again, as they are sent.

    N.B. a bare engine's callers have theirs at hand as well.
    """
    said = [msgspec.Raw(msgspec.json.encode(vector.tolist())) for vector in vectors]
    endless = itertools.cycle(said)
    while True:
        yield list(itertools.islice(endless, each))
