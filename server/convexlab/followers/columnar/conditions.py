"""Filters as SQL, as far as DuckDB judges a document exactly as a filter does.

Only comparisons of a field with a constant are put into SQL, and only where the
column says all that there is to know (`Column.is_exact`): its NULLs are all null or
all missing, its values of one kind. Whatever else a filter asks is left to the
predicate itself, over the stored documents that the SQL lets through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.expression import conjuncts, never_fails
from convexlab.documents.ordering import compare
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.followers.columnar.kinds import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.documents.expression import FieldPath, Node
    from convexlab.followers.columnar.shredding import Columns


@dataclass(frozen=True, slots=True)
class Cell:
    """A column whose values compare as the documents' do.

    Attributes:
        sql: its name.
        kind: of its values; "": no document has any.
        null: what its NULLs are.
    """

    sql: str
    kind: str
    null: Any = UNDEFINED


@dataclass(frozen=True, slots=True)
class Split:
    """A filter in two parts, which a document must pass both.

    Attributes:
        sql: a condition, and
        params: its parameters.
        rest: what must be judged on the document; None: nothing.
    """

    sql: str = "true"
    params: tuple[Any, ...] = ()
    rest: Node | None = None


class NotInSql(Exception):
    """This part of a filter is judged on the document."""


# A value of each kind, to compare others with.
_SAMPLES: Final[dict[str, Any]] = {
    "number": 0.0,
    "whole": 0.0,
    "int64": Int64(0),
    "boolean": False,
    "string": "",
    "bytes": b"",
}
# The column of a field that no document has.
NOWHERE: Final = "NULL"
_SYSTEM: Final = {
    "_id": Cell("_id", "string"),
    "_creationTime": Cell("_creationTime", "number"),
}
_HOLDS: Final[dict[str, tuple[str, Callable[[int], bool]]]] = {
    "eq": ("=", lambda order: order == 0),
    "neq": ("!=", lambda order: order != 0),
    "lt": ("<", lambda order: order < 0),
    "lte": ("<=", lambda order: order <= 0),
    "gt": (">", lambda order: order > 0),
    "gte": (">=", lambda order: order >= 0),
}
_FLIPPED: Final = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}


def cell(columns: Columns, path: FieldPath) -> Cell | None:
    """The column of a field, if it is exact."""
    if len(path) > 1:
        return None
    (name,) = path
    if name in _SYSTEM:
        return _SYSTEM[name]
    column = columns.get(name)
    if column is None:
        return Cell(NOWHERE, "")
    if not column.is_exact:
        return None
    assert isinstance(column.kind, Scalar), column
    null = None if column.has_null else UNDEFINED
    return Cell(f"c{column.slot}", column.kind.name, null)


def split(node: Node | None, columns: Columns) -> Split:
    """What of a filter DuckDB can judge.

    N.B. `and` stops at the first part that is false: a part that may fail must not be
    asked about documents that an earlier one excludes, nor excused from others.
    """
    if node is None:
        return Split()
    texts, params = ["true"], list[Any]()
    rest: list[Node] = []
    for part in conjuncts(node):
        if all(map(never_fails, rest)):
            try:
                text, of = _condition(part, columns)
            except NotInSql:
                pass
            else:
                texts.append(f"({text})")
                params += of
                continue
        rest.append(part)
    left = None if not rest else rest[0] if len(rest) == 1 else ("and", *rest)
    return Split(" AND ".join(texts), tuple(params), left)


def _condition(node: Node, columns: Columns) -> tuple[str, list[Any]]:
    """A condition that is never NULL, and its parameters."""
    name, *operands = node
    if name == "literal" and isinstance(operands[0], bool):
        return str(operands[0]).lower(), []
    if name in ("and", "or"):
        parts = [_condition(operand, columns) for operand in operands]
        neutral = "true" if name == "and" else "false"
        texts = f" {name} ".join([neutral, *[f"({text})" for text, _ in parts]])
        return texts, [param for _, params in parts for param in params]
    if name == "not":
        text, params = _condition(operands[0], columns)
        return f"NOT ({text})", params
    if name in _HOLDS:
        return _comparison(name, operands[0], operands[1], columns)
    if name in ("startswith", "contains"):
        return _text(name, operands[0], operands[1], columns)
    raise NotInSql


def _comparison(
    name: str, left: Node, right: Node, columns: Columns
) -> tuple[str, list[Any]]:
    if left[0] == "literal":
        left, right, name = right, left, _FLIPPED.get(name, name)
    of = _cell_of(left, right, columns)
    constant = right[1]
    sign, holds = _HOLDS[name]
    if not of.kind:
        return _constant(holds(compare(of.null, constant))), []
    on_null = _constant(holds(compare(of.null, constant)))
    sample = _SAMPLES[of.kind]
    if _kind(constant) != _kind(sample):
        on_value, params = _constant(holds(compare(sample, constant))), []
    else:
        on_value, params = f"{of.sql} {sign} ?", [_parameter(constant)]
    return f"CASE WHEN {of.sql} IS NULL THEN {on_null} ELSE {on_value} END", params


def _text(
    name: str, left: Node, right: Node, columns: Columns
) -> tuple[str, list[Any]]:
    of = _cell_of(left, right, columns)
    if of.kind != "string" or not isinstance(right[1], str):
        return "false", []
    function = "starts_with" if name == "startswith" else "contains"
    return f"coalesce({function}({of.sql}, ?), false)", [right[1]]


def _cell_of(left: Node, right: Node, columns: Columns) -> Cell:
    if left[0] != "field" or right[0] != "literal" or _is_odd(right[1]):
        raise NotInSql
    of = cell(columns, left[1:])
    if of is None:
        raise NotInSql
    return of


def _is_odd(constant: Any) -> bool:
    """Whether DuckDB orders it otherwise: NaN, a negative zero."""
    if type(constant) is not float:
        return False
    is_negative_zero = constant == 0 and math.copysign(1.0, constant) < 0
    return math.isnan(constant) or is_negative_zero


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _parameter(constant: Any) -> Any:
    """N.B. whole numbers are compared as numbers: a column of either kind may have them."""
    if type(constant) is Int64:
        return int(constant)
    return float(constant) if type(constant) is int else constant


def _constant(truth: bool) -> str:
    return "true" if truth else "false"
