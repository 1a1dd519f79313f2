"""Crowds of callers in turns with a bare engine, since a machine's speed drifts.

round    engine, crowd, engine, another crowd, …
ratio    the median of a crowd's rate to that of the engine just before it
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.benchmarks.figures import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.searchers import Costs, Searchers

ROUNDS = 5


@dataclass(slots=True)
class Crowd:
    """One way in which many ask.

    Args:
        name: of the way.
        ask: asks for so many seconds; gives each call's ms.
        each: how many searches a call makes; 0 is one that makes none.
    """

    name: str
    ask: Callable[[float], list[float]]
    each: int
    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)

    def take_turn(self, seconds: float, engine: float, costs: Costs) -> None:
        with costs:
            took = self.ask(seconds)
        self.took += took
        self.rates.append(max(1, self.each) * len(took) / seconds)
        self.ratios.append(self.rates[-1] / engine)

    def row(self) -> Row:
        return Row(
            self.name,
            statistics.median(self.rates),
            self.took,
            ratio=statistics.median(self.ratios),
        )

    def note(self, costs: Costs) -> str:
        spread = f"ratio {min(self.ratios):.2f} to {max(self.ratios):.2f}"
        return f"{self.name}: {spread}; {costs.of_each(max(1, self.each * len(self.took)))}"


def beside(
    name: str,
    engine: Callable[[], tuple[float, float]],
    searchers: Searchers,
    crowds: Sequence[Crowd],
    seconds: float,
) -> tuple[list[Row], list[str]]:
    """Rows and notes of an engine and of those who are compared with it.

    Args:
        name: the engine's.
        engine: its searches a second, and µs of processor time of each.
        searchers: whom the crowds ask.
        crowds: that take turns.
        seconds: for each of these in all.
    """
    all_costs = [searchers.costs() for _ in crowds]
    rates, spent = [], []
    for _ in range(ROUNDS):
        for crowd, costs in zip(crowds, all_costs, strict=True):
            rate, cost = engine()
            rates.append(rate)
            spent.append(cost)
            crowd.take_turn(seconds / ROUNDS, rate, costs)
    rows = [Row(name, statistics.median(rates), ratio=1.0)]
    notes = [f"{name}: CPU time of each search: {statistics.median(spent):.0f} µs"]
    for crowd, costs in zip(crowds, all_costs, strict=True):
        rows.append(crowd.row())
        notes.append(crowd.note(costs))
    return rows, notes
