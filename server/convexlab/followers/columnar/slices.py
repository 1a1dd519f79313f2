"""Slices: numbers cut so that DuckDB adds them exactly, in whatever order.

DuckDB adds doubles in the order in which they come, and rounds. But multiples of one
power of two, the unit, are added without rounding as long as no sum is beyond 2**53 of
them. So each number is cut into a few that are:

    x = h1 + h2 + … + rest      h1: x rounded to unit u1, h2: what is left to u2, …

Rounding is adding 1.5 * 2**52 units and taking them away again. How many slices there
are follows from the smallest and the largest number and how many there are: of a
million numbers within 2**30 of each other three.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from convexlab.followers.columnar.values import Sizes

_DOUBLE_BITS: Final = 53
# What a power of two may be, that all that is made of it is a double.
_MOST_EXPONENT: Final = 900
# More are slower than adding the numbers in Python.
_MOST_SLICES: Final = 12


@dataclass(frozen=True, slots=True)
class Slices:
    """How the numbers of a column are cut.

    Attributes:
        column: as SQL.
        units: the powers of two of all slices but the last, which is what is left.
    """

    column: str
    units: tuple[int, ...]

    @property
    def fields(self) -> list[str]:
        """The slices, and what is left after each, as fields of a SELECT."""
        found, rest = [], self.column
        for at, unit in enumerate(self.units):
            grain = f"'{1.5 * math.ldexp(1.0, unit + _DOUBLE_BITS - 1)!r}'::DOUBLE"
            found.append(f"({rest} + {grain}) - {grain} AS {self._name('h', at)}")
            found.append(f"{rest} - {self._name('h', at)} AS {self._name('r', at)}")
            rest = self._name("r", at)
        return found

    @property
    def sums(self) -> str:
        """An array of numbers whose exact sum is that of the column, as SQL."""
        names = [self._name("h", at) for at in range(len(self.units))]
        last = self._name("r", len(self.units) - 1) if self.units else self.column
        return f"[{', '.join(f'sum({name})' for name in (*names, last))}]"

    def _name(self, what: str, at: int) -> str:
        return f"{self.column}_{what}{at}"


def slices(column: str, sizes: Sizes | None, rows_bits: int) -> Slices | None:
    """How a column is cut; None: its numbers are too far from each other.

    Args:
        column: as SQL; a name.
        sizes: of its numbers; None: they are all zero.
        rows_bits: there are fewer than two to the power of this.
    """
    if sizes is None:
        return Slices(column, ())
    least, most = sizes
    if max(-least, most) > _MOST_EXPONENT:
        return None
    last = least - _DOUBLE_BITS  # all numbers are multiples of this power of two
    units = list[int]()
    unit = most + rows_bits - _DOUBLE_BITS
    while unit > last and len(units) < _MOST_SLICES:
        units.append(unit)
        # N.B. what is left is no more than half a unit.
        unit += rows_bits - _DOUBLE_BITS - 1
    return Slices(column, tuple(units)) if unit <= last else None
