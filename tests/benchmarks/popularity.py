"""Which accounts a transfer is between: any two, or mostly the popular ones."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


class Popularity:
    """Accounts by number, the first the most popular.

    Args:
        count: how many there are.
        exponent: Zipf's: the n-th is taken in proportion to `n ** -exponent`; 0: all
            alike.
    """

    def __init__(self, count: int, exponent: float) -> None:
        weights = (rank**-exponent for rank in range(1, count + 1))
        self._reached = list(accumulate(weights))

    def pair(self, chance: random.Random) -> tuple[int, int]:
        """Two different accounts."""
        one = other = self._one(chance)
        while other == one:
            other = self._one(chance)
        return one, other

    def _one(self, chance: random.Random) -> int:
        return bisect(self._reached, chance.random() * self._reached[-1])
