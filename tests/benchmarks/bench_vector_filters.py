"""Does a filter make a vector search slower, whatever it lets through?

100,000 vectors of 384 dimensions (`--documents` for more, not in a byte a number),
asked at the keeper's interface, bytes in and bytes out. In processor time, which others on the machine change
little; the reference is the same search without a filter.

    by chance       what passes has nothing to do with the vectors
    of its topics   what passes lies together: those nearest to a direction, kinds of text
    first           the filter was not asked for lately: what passes is not known
    many            a hundred filters take turns, each of which a hundredth passes
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what is searched
from tests.benchmarks.figures import Options, Row, Table
from tests.benchmarks.in_process import settle_garbage
from tests.benchmarks.vectors import (
    DIMENSIONS,
    LIMIT,
    asking,
    embeddings,
    follow,
    nearest_among,
    recall,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.followers.vectors import Searched

VECTORS = 100_000
QUERIES = 300
# Percent of the vectors, by the owner who has them.
BY_CHANCE = (0.1, 1.0, 3.0, 5.0, 10.0, 25.0, 50.0)
# The same, by a kind: the nearest to a direction of what the kinds before left.
OF_ITS_TOPICS = (1.0, 10.0, 25.0, 40.0)
# Times that a filter is asked for before it is measured: as often as copying may take.
_WARM = 0.002
_ROUNDS = 3


def run(options: Options) -> Iterator[Table]:
    count = options.documents(VECTORS, 12_000)
    queries = options.count(QUERIES, 20)
    vectors = embeddings(count + queries)
    vectors, asked = vectors[:count], vectors[count:]
    marked = Marked(vectors)
    is_plain_only = options.smoke or count > VECTORS
    for quantization in (None,) if is_plain_only else (None, "int8"):
        searched, _ = follow(
            vectors, marks=marked.of, in_bulk=True, quantization=quantization
        )
        settle_garbage()
        yield Filtered(searched, marked, asked).table(quantization)
        del searched


class Marked:
    """Which document has which owner and which kind.

    Args:
        vectors: of the documents.
    """

    def __init__(self, vectors: Any) -> None:
        self.vectors = vectors
        chance, count = np.random.default_rng(11), len(vectors)
        self.owners = np.full(count, len(BY_CHANCE))
        # Of those that are left some are one of a hundred owners', for `many`.
        self.many = 100 + np.arange(100)
        order, start = chance.permutation(count), 0
        for owner, percent in enumerate(BY_CHANCE):
            stop = start + round(count * percent / 100)
            self.owners[order[start:stop]] = owner
            start = stop
        rest = order[start:]
        self.owners[rest] = self.many[np.arange(len(rest)) % len(self.many)]
        self.kinds = self._kinds(chance)

    def _kinds(self, chance: Any) -> Any:
        count = len(self.vectors)
        kinds = np.full(count, len(OF_ITS_TOPICS))
        for kind, percent in enumerate(OF_ITS_TOPICS):
            near = self.vectors @ chance.normal(size=DIMENSIONS).astype(np.float32)
            near[kinds < len(OF_ITS_TOPICS)] = -np.inf
            kinds[np.argsort(-near)[: round(count * percent / 100)]] = kind
        return kinds

    def of(self, number: int) -> tuple[int, int]:
        """An owner and a kind."""
        return int(self.owners[number]), int(self.kinds[number])


@dataclass(frozen=True, slots=True)
class Filtered:
    """A follower, what it has, and what it is asked."""

    searched: Searched
    marked: Marked
    asked: Any

    def table(self, quantization: str | None) -> Table:
        """Each filter beside none."""
        everything = asking(self.searched, None)
        took = self._cost(everything)
        first = Row(
            f"no filter: recall {self._recall(everything, None):.3f}",
            1000 / float(np.mean(took)),
            took,
            ratio=1.0,
        )
        rows = [first, *(self._row(took, *each) for each in self._filters())]
        rows.append(self._of_many(took))
        (index,) = self.searched.vectors.indexes.values()
        count = len(self.marked.vectors)
        return Table(
            f"nearest {LIMIT} of {count:,} vectors of {DIMENSIONS} through filters"
            f"{'' if quantization is None else ', ' + quantization}; processor time, "
            "ratio to no filter",
            "search",
            rows,
            [
                f"{index.lists.probes[0]} of {index.lists.count} lists searched",
                f"{index.status()['bytes'] / count:,.0f} bytes a vector, with "  # type: ignore[operator]  # a number
                "what is kept of filters",
            ],
        )

    def _filters(self) -> Iterator[tuple[str, dict[str, list[int]], Any]]:
        for owner, percent in enumerate(BY_CHANCE):
            passing = np.flatnonzero(self.marked.owners == owner)
            yield f"{percent:g} % pass, by chance", {"owner": [owner]}, passing
        for kind, percent in enumerate(OF_ITS_TOPICS):
            passing = np.flatnonzero(self.marked.kinds == kind)
            yield f"{percent:g} %, of its topics", {"meta.kind": [kind]}, passing

    def _row(self, beside: list[float], what: str, filters: Any, passing: Any) -> Row:
        (index,) = self.searched.vectors.indexes.values()
        index.selections.forget()
        ask = asking(self.searched, filters)
        cold = _processor_ms(ask, self.asked[0])
        for one in itertools.islice(itertools.cycle(self.asked), self._warm):
            ask(one)
        took = self._cost(ask)
        found = f"recall {self._recall(ask, passing):.3f}, first {cold:.1f} ms"
        return _row_beside(beside, f"{what}: {found}", took)

    @property
    def _warm(self) -> int:
        return 5 + int(len(self.marked.vectors) * _WARM)

    def _of_many(self, beside: list[float]) -> Row:
        (index,) = self.searched.vectors.indexes.values()
        index.selections.forget()
        ways = [
            asking(self.searched, {"owner": [owner]})
            for owner in self.marked.many.tolist()
        ]
        turns = itertools.cycle(ways)

        def ask(one: Any) -> Any:
            return next(turns)(one)

        for one in itertools.islice(itertools.cycle(self.asked), 3 * len(ways)):
            ask(one)
        took = self._cost(ask)
        return _row_beside(beside, f"{len(ways)} filters in turn", took)

    def _cost(self, ask: Callable[[Any], Any]) -> list[float]:
        """Milliseconds of processor time, the least of each search."""
        rounds = [
            [_processor_ms(ask, one) for one in self.asked] for _ in range(_ROUNDS)
        ]
        return [min(each) for each in zip(*rounds, strict=True)]

    def _recall(self, ask: Callable[[Any], Any], passing: Any) -> float:
        if passing is None:
            return recall(
                ask, self.asked, nearest_among(self.marked.vectors, self.asked)
            )
        true = nearest_among(self.marked.vectors[passing], self.asked)
        return recall(ask, self.asked, passing[true])


def _row_beside(beside: list[float], name: str, took: list[float]) -> Row:
    """What was measured, and its ratio to the search without a filter."""
    ratio = float(np.median(beside) / np.median(took))
    return Row(name, 1000 / float(np.mean(took)), took, ratio=ratio)


def _processor_ms(ask: Callable[[Any], Any], one: Any) -> float:
    began = time.thread_time()
    ask(one)
    return (time.thread_time() - began) * 1000
