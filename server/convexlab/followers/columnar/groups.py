"""Aggregates in DuckDB, where its arithmetic is the documents' own.

Counts, extremes and sums of whole numbers are. Sums of other numbers depend on
their order there, unless they are cut into `slices`. Where numbers are too far from each
other for that, DuckDB collects those of each group, and they are added exactly here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
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
from convexlab.followers.columnar.slices import slices
from convexlab.followers.columnar.values import exponent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

    from convexlab.followers.columnar.shredding import Columns
    from convexlab.followers.columnar.slices import Slices
    from convexlab.followers.columnar.values import Sizes

# Numbers are cut for so many rows, as a power of two. More are cut anew.
_ROWS_BITS: Final = 24


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is wanted of a column: the measure, the column, how its numbers are cut."""

    measure: Measure
    cell: Cell
    slices: Slices | None = None

    @property
    def is_added(self) -> bool:
        """Whether its numbers are added, and may have to be cut."""
        return self.measure.kind in ("sum", "avg") and self.cell.kind == "number"


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
    measured = [*map(_Measured, aggregation.measures, cells)]
    sizes = {
        each.cell.sql: _sizes(connection, columns, each.cell.sql, source, params)
        for each in measured
        if each.is_added
    }
    bits = _ROWS_BITS
    while True:
        cut = [_cut(each, sizes, bits) for each in measured]
        found = connection.execute(_select(keys, cut, source), params).fetchall()
        count = sum(row[len(keys)] for row in found)
        if count.bit_length() <= bits or not sizes:
            return Groups(aggregation, _groups(keys, cut, found))
        bits = count.bit_length()


def _sizes(
    connection: duckdb.DuckDBPyConnection,
    columns: Columns,
    name: str,
    source: str,
    params: list[Any],
) -> Sizes | None:
    """Between what sizes a column's numbers lie, at most."""
    for column in columns.values():
        if name == f"c{column.slot}":
            return column.sizes
    # Creation times, of which nobody has noted it.
    ((least, most),) = connection.execute(
        f"SELECT min(abs({name})) FILTER (WHERE {name} != 0), max(abs({name}))"
        f" FROM {source}",
        params,
    ).fetchall()
    return None if least is None else (exponent(least), exponent(most))


def _cut(of: _Measured, sizes: dict[str, Sizes | None], bits: int) -> _Measured:
    """With its numbers cut, if it adds numbers and they can be."""
    if not of.is_added:
        return of
    sql = of.cell.sql
    return _Measured(of.measure, of.cell, slices(sql, sizes[sql], bits))


def _select(keys: Sequence[Cell], measured: Sequence[_Measured], source: str) -> str:
    """The statement: of each group its key, its size, and two columns a measure."""
    parts = [_wanted(each) for each in measured]
    selected = ", ".join([*[key.sql for key in keys], "count(*)", *parts])
    group_by = f" GROUP BY {', '.join(key.sql for key in keys)}" if keys else ""
    return f"SELECT {selected} FROM {_sliced(measured, source)}{group_by}"


def _sliced(measured: Iterable[_Measured], source: str) -> str:
    """The source, with the slices of what is cut."""
    cut = {each.cell.sql: each.slices for each in measured if each.slices is not None}
    fields = [field for of in cut.values() for field in of.fields]
    return f"(SELECT *, {', '.join(fields)} FROM {source})" if fields else source


def _wanted(of: _Measured) -> str:
    """How many values there are, and what is to be known of them."""
    sql, kind = of.cell.sql, of.measure.kind
    count = f"count({sql})"
    if kind == "count":
        return "0, NULL"
    if kind in ("min", "max"):
        return f"{count}, {kind}({sql})"
    if of.cell.kind in ("whole", "int64"):
        return f"{count}, sum({sql}::HUGEINT)"
    if not of.is_added:
        return f"{count}, NULL"
    if of.slices is not None:
        return f"{count}, {of.slices.sums}"
    return f"{count}, list({sql}) FILTER (WHERE {sql} IS NOT NULL)"


# -- as groups ----------------------------------------------------------------------


def _groups(
    keys: Sequence[Cell], measured: Sequence[_Measured], rows: list[tuple[Any, ...]]
) -> dict[bytes, Group]:
    """What was selected, by key; N.B. column by column, since there may be many rows."""
    if not rows or not rows[0][len(keys)]:  # only of no key there is one of no rows
        return {}
    columns = [*zip(*rows, strict=True)]
    parts = [_keys(*each) for each in zip(keys, columns, strict=False)]
    sizes, *of = columns[len(keys) :]
    states = [
        _states(each, of[2 * at], of[2 * at + 1]) for at, each in enumerate(measured)
    ]
    return {
        b"".join(key): Group(size, [*found])
        for key, size, found in zip(
            zip(*parts, strict=True) if parts else [()],
            sizes,
            zip(*states, strict=True) if states else repeat(()),
            strict=False,
        )
    }


def _keys(of: Cell, found: Sequence[Any]) -> list[bytes]:
    if of.kind == "int64" or None in found:
        return [encode_key(_value(of, each)) for each in found]
    return [encode_key(each) for each in found]


def _states(of: _Measured, counts: Sequence[int], found: Sequence[Any]) -> list[State]:
    if of.measure.kind == "count":
        return [State() for _ in counts]
    return [
        _state(of, count, each) if count else State()
        for count, each in zip(counts, found, strict=True)
    ]


def _state(of: _Measured, count: int, found: Any) -> State:
    state = State(n=count)
    if of.measure.kind in ("min", "max"):
        state.extreme = encode_key(_value(of.cell, found))
    elif of.cell.kind == "whole":
        state.numbers, state.parts = count, whole_parts(int(found))
    elif of.cell.kind == "int64":
        state.int64s, state.whole = count, packed(int(found))
    elif of.slices is not None:
        state.numbers, state.parts = count, [part for part in found if part]
    elif of.is_added:
        add_numbers(state, found)
    return state


def _value(of: Cell, found: Any) -> Any:
    """A cell as the documents have it."""
    if found is None:
        return of.null
    return Int64(found) if of.kind == "int64" else found
