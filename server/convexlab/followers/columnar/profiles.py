"""Profiles of columns: what a statement's rows hold, all columns in one answer.

    SUMMARIZE SELECT * FROM flights WHERE month = 7
        ─▶ for each column how many values it has, how many different ones, the
           commonest of them, and where the numbers lie

What has been answered is kept, and the next answer to the same statement is made of it
where its rows are a table's: only the values of the rows that came and went since are
counted (`counting`), which needs no groups of all the others.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from convexlab import knobs
from convexlab.followers.columnar.counting import Answer, Counting
from convexlab.followers.columnar.profile import SHOWN, Scale

if TYPE_CHECKING:
    from convexlab.followers.columnar.reading import Reading
    from convexlab.followers.columnar.statement import Statement

_SUMMARIZE: Final = re.compile(r"\s*SUMMARIZE\s+", re.IGNORECASE)
_TABLE: Final = re.compile(r'(?:\w+|"(?:[^"]|"")+")\s*;?\s*')


def summarized(text: str) -> str | None:
    """What is summarized: the statement after SUMMARIZE, at its own place in the text."""
    found = _SUMMARIZE.match(text)
    if found is None:
        return None
    rest = text[found.end() :]
    return f"FROM {rest}" if _TABLE.fullmatch(rest) else " " * found.end() + rest


class Profiles:
    """The profiles of one mirror, with what is kept of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def rows(
        self, reading: Reading, statement: Statement, params: Any
    ) -> list[dict[str, Any]]:
        """A row for each column of a statement's result.

        Raises:
            duckdb.Error: the statement cannot be run.
            OutOfRetention: the mirror does not reach back so far.
        """
        key = f"{statement.text}\n{params!r}"
        with self._lock:
            return _told(self._found(Counting(reading, statement, params), key))

    def _found(self, counting: Counting, key: str) -> Answer:
        before = self._kept.pop(key, None)
        found = None if before is None else counting.anew(before)
        if found is None:
            found = counting.whole()
        if counting.table is not None:
            self._kept[key] = found
            while len(self._kept) > knobs.KEPT_PROFILES:
                self._kept.popitem(last=False)
        return found


# -- what is told ------------------------------------------------------------------------


def _told(answer: Answer) -> list[dict[str, Any]]:
    """A row for each column."""
    return [
        {
            "name": column.name,
            "n": answer.rows,
            "there": profile.there,
            "different": profile.different,
            "top": [{"value": v, "n": n} for v, n in profile.commonest[:SHOWN]],
            **_scale(profile.scale),
        }
        for column, profile in zip(answer.columns, answer.profiles, strict=True)
    ]


def _scale(scale: Scale | None) -> dict[str, Any]:
    if scale is None or scale.low >= scale.high:
        return {}
    width = 2.0**scale.exponent
    return {
        "low": float(scale.low),
        "high": float(scale.high),
        "from": min(scale.bins) * width,
        "width": width,
        "bins": scale.counts(),
    }
