"""Orders: what DuckDB sorts by where a column alone does not say where documents stand.

    undefined < null < Int64 < numbers < false < true < strings < bytes < arrays < objects

A column whose values are of one kind says it, but for its NULLs when some of them are
null and some are missing: the document's text tells these apart. A column of several
kinds has JSON, in which a string, an Int64 and bytes look alike. But where all values
were plain ones, there are only numbers, booleans and strings, which their first letter
tells apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convexlab.followers.columnar.conditions import NOWHERE, cell, quoted_text
from convexlab.followers.columnar.kinds import Anything, Nothing, Scalar

if TYPE_CHECKING:
    from convexlab.documents.expression import FieldPath
    from convexlab.followers.columnar.shredding import Column, Columns

_NUMBER, _FALSE, _TRUE, _STRING = range(4)
# The first letter of a value's JSON says its kind.
_RANK: Final = (
    f"CASE left({{text}}, 1) WHEN '\"' THEN {_STRING} WHEN 't' THEN {_TRUE}"
    f" WHEN 'f' THEN {_FALSE} ELSE {_NUMBER} END"
)


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
    name = f"c{column.slot}"
    match column.kind:
        case Scalar() if not column.has_odd:
            return [*_nulls(column), name]
        case Nothing():
            return _nulls(column)
        case Anything() if not column.has_tagged:
            text = f"{name}::VARCHAR"
            rank = f"CASE WHEN {name} IS NOT NULL THEN {_RANK.format(text=text)} END"
            return [
                *_nulls(column),
                rank,
                f"CASE WHEN {rank} = {_NUMBER} THEN TRY_CAST({text} AS DOUBLE) END",
                f"CASE WHEN {rank} = {_STRING} THEN json_extract_string({name}, '$') END",
            ]
        case _:
            return None


def _nulls(column: Column) -> list[str]:
    """What tells null from what is missing, if there is both."""
    if not (column.has_null and column.has_missing):
        return []
    pointer = "/" + column.name.replace("~", "~0").replace("/", "~1")
    there = f"json_exists(_doc, {quoted_text(pointer)})"
    return [f"CASE WHEN c{column.slot} IS NULL THEN {there}::TINYINT ELSE 2 END"]
