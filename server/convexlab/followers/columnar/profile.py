"""A column's profile, and what it is once some of its values have been counted anew. Pure.

    there       how many rows have a value             commonest   and how often they occur
    different   how many different ones                bins        how many lie in which part

Bins are a power of two wide and begin at multiples of it: wider ones are made of
narrower ones, so that values beyond the last bin need no second look at the others.

Invariants
    P1  `commonest` are the first KEPT values in the order (often before seldom, then
        small before large), without those that occur once where there are more than
        KEPT; a value that is not among them and occurs twice comes after `known`.
    P2  What `after` gives is what counting all rows would give, but for the number of
        values in `commonest` and the width of bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SHOWN: Final = 3
# Some more are kept, so that the commonest are known while others overtake them.
KEPT: Final = 64
MOST_BINS: Final = 32
# A number has 53 bits; where all are one, its bin is as narrow as can be told.
_BITS: Final = 50
NAN: Final = math.nan


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a column's numbers lie.

    Attributes:
        low, high: the least and the greatest finite one.
        exponent: bins are two to this power wide.
        bins: how many lie in each bin that is not empty, by its number.
        whole: whether they are whole ones: no bin is narrower than one.
    """

    low: float
    high: float
    exponent: int
    bins: Mapping[int, int]
    whole: bool

    def after(self, changes: Iterable[Change]) -> Scale | None:
        """The scale after a change; None: an end of it is gone."""
        finite = [change for change in changes if math.isfinite(change[0])]
        there = [value for value, _, now in finite if now]
        low, high = min(self.low, *there, self.high), max(self.high, *there, self.low)
        if any(value in (low, high) for value, _, now in finite if not now):
            return None
        exponent = max(self.exponent, exponent_for(low, high, whole=self.whole))
        bins: dict[int, int] = {}
        for at, count in self.bins.items():
            wider = at >> (exponent - self.exponent)
            bins[wider] = bins.get(wider, 0) + count
        for value, before, now in finite:
            at = bin_of(value, exponent)
            bins[at] = bins.get(at, 0) + now - before
        full = {at: count for at, count in bins.items() if count}
        return Scale(low, high, exponent, full, self.whole)

    def counts(self) -> list[int]:
        """How many lie in each bin, from the first to the last."""
        first, last = min(self.bins), max(self.bins)
        return [self.bins.get(at, 0) for at in range(first, last + 1)]


# A value, and how many rows had and have it.
Change = tuple[Any, int, int]
# A place in the order of values by how often they occur, then by themselves.
Rank = tuple[int, bool, Any]
ALL_VALUES: Final[Rank] = (0, False, 0)
ALL_REPEATED: Final[Rank] = (-2, True, 0)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is in a column.

    Attributes:
        there: the rows that have a value.
        different: the different values.
        commonest: some of them, and how often they occur: P1.
        known: whatever comes before it, or there, is in `commonest`: P1.
        scale: where they lie; None: they are no numbers.
    """

    there: int
    different: int
    commonest: tuple[tuple[Any, int], ...] = ()
    known: Rank = ALL_VALUES
    scale: Scale | None = None

    def after(self, changes: Sequence[Change]) -> Profile | None:
        """The profile after some values were counted anew; None: count all of them.

        Args:
            changes: every value that more or fewer rows have now.
        """
        there = self.there + sum(now - before for _, before, now in changes)
        different = self.different + sum(
            (now > 0) - (before > 0) for _, before, now in changes
        )
        scale = None
        if self.scale is not None:
            scale = self.scale.after(changes)
            if scale is None:
                return None
        if self.known != ALL_VALUES and different <= KEPT:
            return None  # those that occur once are to be named
        counts = dict(self.commonest)
        counts.update((value, now) for value, _, now in changes)
        found = [c for c in counts.items() if c[1] and _rank(c) <= self.known]
        commonest, known = first_of(found, different, self.known)
        if known < ALL_REPEATED and len(commonest) < SHOWN:
            return None
        return Profile(there, different, commonest, known, scale)


def first_of(
    found: Iterable[tuple[Any, int]], different: int, known: Rank = ALL_VALUES
) -> tuple[tuple[tuple[Any, int], ...], Rank]:
    """The commonest, and what is known of the others: P1.

    Args:
        found: values, and how often they occur.
        different: how many there are.
        known: whatever comes before it, or there, has been found.
    """
    ranked = sorted(found, key=_rank)
    if different > KEPT:
        ranked = [each for each in ranked if each[1] > 1]
        known = min(known, ALL_REPEATED)
        if len(ranked) >= KEPT:
            known = min(known, _rank(ranked[KEPT - 1]))
    return tuple(ranked[:KEPT]), known


def _rank(counted: tuple[Any, int]) -> Rank:
    """NaN is the greatest of numbers, as DuckDB has it."""
    value, count = counted
    return (-count, True, 0) if value is NAN else (-count, False, value)


def bin_of(value: float, exponent: int) -> int:
    """The number of a finite value's bin."""
    return math.floor(float(value) * 2.0**-exponent)


def exponent_for(low: float, high: float, *, whole: bool) -> int:
    """The narrowest bins of which no more than MOST_BINS hold all from `low` to `high`."""
    least = math.frexp(max(abs(low), abs(high), 2.0**-900))[1] - _BITS
    least = max(0, least) if whole else least
    width = high / MOST_BINS - low / MOST_BINS
    exponent = max(least, math.frexp(width)[1] - 1) if width > 0 else least
    while bin_of(high, exponent) - bin_of(low, exponent) >= MOST_BINS:
        exponent += 1
    return exponent
