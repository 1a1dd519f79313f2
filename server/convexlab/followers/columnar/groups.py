"""Aggregates in DuckDB, where its arithmetic is the documents' own.

Counts, extremes and sums of whole numbers are. Sums of other numbers depend on
their order there. But multiplied by a power of two they are whole, and two columns of
64 bits hold them, unless the largest is some 2**60 times the smallest: then DuckDB
collects the numbers of each group, and they are added exactly here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.aggregates import (
    Aggregation,
    Group,
    Groups,
    Measure,
    State,
    add_numbers,
    packed,
    whole_parts,
)
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import Int64
from convexlab.followers.columnar.conditions import NOWHERE, Cell, cell, measured_cell

if TYPE_CHECKING:
    import duckdb

    from convexlab.followers.columnar.shredding import Columns

# How many bits of a BIGINT, of a double, and of its exponent are surely safe.
_WHOLE_BITS: Final = 62
_DOUBLE_BITS: Final = 53
_MOST_SHIFT: Final = 900


@dataclass(frozen=True, slots=True)
class _Scale:
    """How numbers are made whole: the upper bits of each, and those that are left.

    Attributes:
        upper: the power of two of the upper part.
        lower: that of what is left.
    """

    upper: int
    lower: int

    def sums(self, column: str) -> str:
        """The sums of both parts, as SQL."""
        upper = f"trunc({column} * {_power(self.upper)})"
        left = f"({column} - {upper} * {_power(-self.upper)}) * {_power(self.lower)}"
        return f"[sum({upper}::BIGINT), sum(({left})::BIGINT)]"

    def parts(self, sums: list[int]) -> list[float]:
        """A few numbers whose exact sum is that of the column."""
        upper, lower = map(int, sums)
        total = (upper << (self.lower - self.upper)) + lower
        return [math.ldexp(part, -self.lower) for part in whole_parts(total)]


# For each column of numbers that is added; None: two columns do not hold them.
_Scales = dict[str, _Scale | None]


def grouped(
    connection: duckdb.DuckDBPyConnection,
    columns: Columns,
    aggregation: Aggregation,
    source: str,
    params: list[Any],
) -> Groups | None:
    """The groups of what `source` selects; None: a column is not exact."""
    by = [cell(columns, path) for path in aggregation.by]
    of = [
        # N.B. null and what is missing take no part, so they need not be told apart.
        measured_cell(columns, m.path) if m.path else Cell(NOWHERE, "")
        for m in aggregation.measures
    ]
    keys = [each for each in by if each is not None]
    cells = [each for each in of if each is not None]
    if len(keys) < len(by) or len(cells) < len(of):
        return None
    pairs = list(zip(aggregation.measures, cells, strict=True))
    scales = _scales(
        connection, {c.sql for m, c in pairs if _is_added(m, c)}, source, params
    )
    parts = [_select(m, c, scales) for m, c in pairs]
    selected = ", ".join([*[key.sql for key in keys], "count(*)", *parts])
    group_by = f" GROUP BY {', '.join(key.sql for key in keys)}" if keys else ""
    rows = connection.execute(
        f"SELECT {selected} FROM {source}{group_by}", params
    ).fetchall()
    groups = Groups(aggregation)
    for row in rows:
        key = b"".join(
            encode_key(_value(each, value))
            for each, value in zip(keys, row, strict=False)
        )
        size, *found = row[len(keys) :]
        if size:
            states = [
                _state(m, c, found[2 * at], found[2 * at + 1], scales)
                for at, (m, c) in enumerate(pairs)
            ]
            groups.join(key, Group(size, states))
    return groups


def _is_added(measure: Measure, of: Cell) -> bool:
    return measure.kind in ("sum", "avg") and of.kind == "number"


def _scales(
    connection: duckdb.DuckDBPyConnection,
    columns: set[str],
    source: str,
    params: list[Any],
) -> _Scales:
    """How each column's numbers are made whole: a look at the smallest and the largest."""
    if not columns:
        return {}
    names = sorted(columns)
    looks = [f"min(abs({c})) FILTER (WHERE {c} != 0), max(abs({c}))" for c in names]
    (row,) = connection.execute(
        f"SELECT {', '.join(looks)} FROM {source}", params
    ).fetchall()
    return {name: _scale(*row[2 * at : 2 * at + 2]) for at, name in enumerate(names)}


def _scale(least: float | None, most: float) -> _Scale | None:
    """How numbers whose sizes are between these are made whole, if they can be."""
    if least is None:  # they are all zero
        return _Scale(0, 0)
    if math.isinf(most):
        return None
    upper = _DOUBLE_BITS - math.frexp(most)[1]
    # A double is a multiple of its last bit, and so are all that are larger.
    lower = max(upper, _DOUBLE_BITS - math.frexp(least)[1])
    is_safe = max(abs(upper), abs(lower)) <= _MOST_SHIFT
    return _Scale(upper, lower) if is_safe and lower - upper <= _WHOLE_BITS else None


def _power(exponent: int) -> str:
    """A power of two in SQL; a number with a point would be a DECIMAL there."""
    return f"'{math.ldexp(1.0, exponent)!r}'::DOUBLE"


def _select(measure: Measure, of: Cell, scales: _Scales) -> str:
    """Two columns: how many values there are, and what is to be known of them."""
    count = f"count({of.sql})"
    match measure.kind:
        case "count":
            return "0, NULL"
        case "min" | "max":
            return f"{count}, {measure.kind}({of.sql})"
        case _ if of.kind in ("whole", "int64"):
            return f"{count}, sum({of.sql}::HUGEINT)"
        case _ if of.kind == "number":
            scale = scales[of.sql]
            if scale is not None:
                return f"{count}, {scale.sums(of.sql)}"
            return f"{count}, list({of.sql}) FILTER (WHERE {of.sql} IS NOT NULL)"
        case _:
            return f"{count}, NULL"


def _state(
    measure: Measure, of: Cell, count: int, found: Any, scales: _Scales
) -> State:
    state = State(n=count)
    if not count:
        return State()
    if measure.kind in ("min", "max"):
        state.extreme = encode_key(_value(of, found))
    elif of.kind == "whole":
        state.numbers, state.parts = count, whole_parts(int(found))
    elif of.kind == "int64":
        state.int64s, state.whole = count, packed(int(found))
    elif of.kind == "number":
        scale = scales[of.sql]
        if scale is None:
            add_numbers(state, found)
        else:
            state.numbers, state.parts = count, scale.parts(found)
    return state


def _value(of: Cell, found: Any) -> Any:
    """A cell as the documents have it."""
    if found is None:
        return of.null
    return Int64(found) if of.kind == "int64" else found
