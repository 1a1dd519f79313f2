"""Aggregates in DuckDB, where its arithmetic is the documents' own.

Counts, extremes and sums of whole numbers are. Sums of other numbers depend on
their order there, so DuckDB collects the numbers of each group, and they are added
exactly here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from convexlab.followers.columnar.conditions import NOWHERE, Cell, cell

if TYPE_CHECKING:
    import duckdb

    from convexlab.followers.columnar.shredding import Columns


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
        cell(columns, m.path) if m.path else Cell(NOWHERE, "")
        for m in aggregation.measures
    ]
    keys = [each for each in by if each is not None]
    cells = [each for each in of if each is not None]
    if len(keys) < len(by) or len(cells) < len(of):
        return None
    parts = [_select(m, c) for m, c in zip(aggregation.measures, cells, strict=True)]
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
                _state(m, c, found[2 * at], found[2 * at + 1])
                for at, (m, c) in enumerate(
                    zip(aggregation.measures, cells, strict=True)
                )
            ]
            groups.join(key, Group(size, states))
    return groups


def _select(measure: Measure, of: Cell) -> str:
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
            return f"{count}, list({of.sql}) FILTER (WHERE {of.sql} IS NOT NULL)"
        case _:
            return f"{count}, NULL"


def _state(measure: Measure, of: Cell, count: int, found: Any) -> State:
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
        add_numbers(state, found)
    return state


def _value(of: Cell, found: Any) -> Any:
    """A cell as the documents have it."""
    if found is None:
        return of.null
    return Int64(found) if of.kind == "int64" else found
