"""Orders: what DuckDB sorts by where a column alone does not say where documents stand.

    undefined < null < Int64 < numbers < false < true < strings < bytes < arrays < objects

A column whose values are of one kind says it, but for its NULLs when some of them are
null and some are missing: the document's text tells these apart. A column of several
kinds has JSON, in which a string, an Int64 and bytes look alike. But where all values
were plain ones, there are only numbers, booleans and strings, which `plain` tells apart.

To look for null in a document costs more than to sort all rows by a number. So rows whose
first field is NULL are a part of the order of their own, in which nothing is asked of
the others, and the first rows of an order are mostly all in one part.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from convexlab.followers.columnar import plain
from convexlab.followers.columnar.conditions import NOWHERE, cell, quoted_text
from convexlab.followers.columnar.kinds import Anything, Nothing, Scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.documents.expression import FieldPath
    from convexlab.followers.columnar.shredding import Column, Columns


class Part(NamedTuple):
    """Some rows of an order.

    Attributes:
        where: the condition that they are of it.
        keys: expressions that order them.
    """

    where: str
    keys: list[str]


def parts(columns: Columns, paths: Sequence[FieldPath]) -> list[Part] | None:
    """The rows ordered as documents are, part after part; None: DuckDB cannot.

    Args:
        columns: of the table.
        paths: the fields', the first before the others.
    """
    orders: list[list[str]] = []
    for path in paths:
        by = sorted_by(columns, path)
        if by is None:
            return None
        orders.append(by)
    column = columns.get(paths[0][0]) if paths and len(paths[0]) == 1 else None
    if column is None or not (column.has_null or column.has_missing):
        return [Part("true", [*chain.from_iterable(orders)])]
    later = [*chain.from_iterable(orders[1:])]
    name = f"c{column.slot}"
    values = Part(f"{name} IS NOT NULL", [*_values(column), *later])
    if not (column.has_null and column.has_missing):
        return [Part(f"{name} IS NULL", later), values]
    there = _there(column)
    missing = Part(f"{name} IS NULL AND NOT {there}", later)
    return [missing, Part(f"{name} IS NULL AND {there}", later), values]


def sorted_by(columns: Columns, path: FieldPath) -> list[str] | None:
    """Expressions that order rows as documents are by a field; None: there are none.

    Args:
        columns: of the table.
        path: the field's.
    """
    exact = cell(columns, path)
    if exact is not None:
        # N.B. what no document has is no order, and refused as one.
        return [] if exact.sql == NOWHERE else [exact.sql]
    if len(path) > 1:
        return None
    column = columns[path[0]]
    match column.kind:
        case Scalar() if not column.has_odd:
            return [*_nulls(column), *_values(column)]
        case Nothing():
            return _nulls(column)
        case Anything() if not column.has_tagged:
            return [*_nulls(column), *_values(column)]
        case _:
            return None


def _values(column: Column) -> list[str]:
    """What orders the values that are there."""
    name = f"c{column.slot}"
    match column.kind:
        case Nothing():
            return []
        case Anything():
            rank = f"CASE WHEN {name} IS NOT NULL THEN {plain.rank(name)} END"
            return [
                rank,
                f"CASE WHEN {rank} = {plain.NUMBER} THEN {plain.number(name)} END",
                f"CASE WHEN {rank} = {plain.STRING} THEN {plain.string(name)} END",
            ]
        case _:
            return [name]


def _nulls(column: Column) -> list[str]:
    """What tells null from what is missing, if there is both."""
    if not (column.has_null and column.has_missing):
        return []
    return [
        f"CASE WHEN c{column.slot} IS NULL THEN {_there(column)}::TINYINT ELSE 2 END"
    ]


def _there(column: Column) -> str:
    """Whether the field is in the document."""
    pointer = "/" + column.name.replace("~", "~0").replace("/", "~1")
    return f"json_exists(_doc, {quoted_text(pointer)})"
