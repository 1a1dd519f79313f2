"""Figures: what every benchmark is given, and the one table it gives back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for: a folder for the data, how much of everything, and plots."""

    folder: Path
    smoke: bool = False
    asked_seconds: float | None = None
    plots: Path | None = None
    asked_documents: int | None = None

    def documents(self, full: int, smoke: int) -> int:
        """How many documents there are, `full` unless told otherwise."""
        if self.asked_documents is not None:
            return self.asked_documents
        return self.count(full, smoke)

    def seconds(self, full: float) -> float:
        """How long a sustained load runs, `full` unless told otherwise."""
        if self.asked_seconds is not None:
            return self.asked_seconds
        return 0.5 if self.smoke else full

    def count(self, full: int, smoke: int) -> int:
        """How many of something."""
        return smoke if self.smoke else full


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what was measured, and its ratio to the reference row.

    Args:
        what: the thing measured.
        rate: how many a second.
        milliseconds: each one's duration, for p50 and p99.
        quantiles: p50 and p99 in milliseconds, where somebody else sorted them.
        memory: the peak, in MB, of all processes of the thing measured.
        ratio: to the reference, said in the table's title.
    """

    what: str
    rate: float | None = None
    milliseconds: Sequence[float] = ()
    quantiles: tuple[float, float] | None = None
    memory: float | None = None
    ratio: float | None = None

    def cells(self) -> tuple[str, ...]:
        p50, p99 = self.quantiles or (
            (percentile(self.milliseconds, 50), percentile(self.milliseconds, 99))
            if self.milliseconds
            else (None, None)
        )
        return (
            self.what,
            _number(self.rate, digits=0),
            _number(p50, digits=3),
            _number(p99, digits=3),
            _number(self.memory, digits=1),
            "" if self.ratio is None else f"{self.ratio:.2f}",
        )


@dataclass(slots=True)
class Table:
    """A benchmark's answer.

    Args:
        title: the question, and what the ratio is to.
        unit: what `rate` counts.
        rows: the lines.
        notes: what does not fit a column.
    """

    title: str
    unit: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        head = ("", f"{self.unit}/s", "p50 ms", "p99 ms", "peak MB", "ratio")
        lines = [head, *(row.cells() for row in self.rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
        text = [
            "  ".join(
                [line[0].ljust(widths[0])]
                + [
                    cell.rjust(width)
                    for cell, width in zip(line[1:], widths[1:], strict=True)
                ]
            ).rstrip()
            for line in lines
        ]
        return "\n".join(
            [f"# {self.title}", *text, *(f"  {note}" for note in self.notes)]
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not below `percent` of them."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def repeat(
    work: Callable[[], object], *, seconds: float, at_least: int = 3
) -> list[float]:
    """Do something again and again; each time's milliseconds."""
    took: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds
    while (began := clock()) < end or len(took) < at_least:
        work()
        took.append((clock() - began) * 1e3)
    return took


def alternate(
    works: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    turn: float = 0.02,
    at_least: int = 3,
) -> dict[str, list[float]]:
    """Do several things in turns, so that each meets the same weather.

    Args:
        works: what is done again and again, by name.
        seconds: for each of them, all turns together.
        turn: how long one of them goes on before the next has its turn, in seconds.
        at_least: how often each is done.

    Returns:
        Each time's milliseconds, by name.
    """
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(max(1, round(seconds / turn))):
        for name, work in works.items():
            took[name] += repeat(work, seconds=turn, at_least=1)
    for name, work in works.items():
        took[name] += repeat(work, seconds=0, at_least=at_least - len(took[name]))
    return took


def rate(milliseconds: Sequence[float]) -> float:
    """How many a second, one after another."""
    return len(milliseconds) / (sum(milliseconds) / 1e3)


def _number(value: float | None, *, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"
