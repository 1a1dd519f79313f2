"""Filters as SQL, as far as DuckDB judges a document exactly as a filter does.

Only comparisons of a field with a constant are put into SQL. Where the column says all
that there is to know (its values are of one kind, and what its NULLs are, null or
missing, makes no difference to the comparison) the SQL is exact. Elsewhere it may let
through too much, never too little: then the predicate itself judges the stored documents
that are left, and so it does whatever else a filter asks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convexlab.documents.encoding import to_export_json
from convexlab.documents.expression import conjuncts, never_fails
from convexlab.documents.ordering import compare
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.followers.columnar import plain
from convexlab.followers.columnar.kinds import (
    ANYTHING,
    NUMBER,
    Anything,
    Kind,
    Nothing,
    Object,
    Scalar,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convexlab.documents.expression import FieldPath, Node
    from convexlab.followers.columnar.shredding import Column, Columns


@dataclass(frozen=True, slots=True)
class Cell:
    """A column, or a field inside of one, as comparisons see it.

    Attributes:
        sql: how it is called.
        kind: of its values; "": no document has any; "json": several.
        nulls: what its NULLs may be; empty: it has none.
        has_odd: whether a value may be NaN or a negative zero.
        is_plain: of several kinds: whether they are booleans, strings and finite numbers,
            of which each has a JSON of its own.
    """

    sql: str
    kind: str
    nulls: tuple[Any, ...] = (UNDEFINED,)
    has_odd: bool = False
    is_plain: bool = False

    @property
    def null(self) -> Any:
        """What its NULLs are, if they are all the same."""
        assert len(self.nulls) < 2, f"{self.sql}: some NULLs are null, some missing"
        return self.nulls[0] if self.nulls else UNDEFINED


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


class _Part(NamedTuple):
    """A condition that is never NULL, its parameters, and whether it is exact."""

    sql: str
    params: list[Any]
    is_exact: bool = True


# A value of each kind, to compare others with.
_SAMPLES: Final[dict[str, Any]] = {
    "number": 0.0,
    "whole": 0.0,
    "int64": Int64(0),
    "boolean": False,
    "string": "",
    "bytes": b"",
    "json": 0.0,  # of those that are plain, all lie between what is not
}
# The column of a field that no document has.
NOWHERE: Final = "NULL"
_SYSTEM: Final = {
    "_id": Cell("_id", "string", ()),
    "_creationTime": Cell("_creationTime", "number", ()),
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


# -- columns ------------------------------------------------------------------------


def cell(columns: Columns, path: FieldPath) -> Cell | None:
    """The column of a field, if comparing its values is comparing the documents'."""
    found = loose_cell(columns, path) if len(path) == 1 else None
    if found is None or found.kind == "json" or found.has_odd or len(found.nulls) > 1:
        return None
    return found


def loose_cell(columns: Columns, path: FieldPath) -> Cell | None:
    """The column of a field, or the field of an object inside of one; None: neither."""
    name, *inside = path
    if name in _SYSTEM:
        return Cell(NOWHERE, "") if inside else _SYSTEM[name]
    column = columns.get(name)
    if column is None:
        return Cell(NOWHERE, "")
    if inside:
        return _inside(column, inside)
    nulls = ((None,) if column.has_null else ()) + (
        (UNDEFINED,) if column.has_missing else ()
    )
    found = _cell_of_kind(f"c{column.slot}", column.kind, nulls, has_odd=column.has_odd)
    is_plain = column.kind == ANYTHING and not column.has_tagged
    return replace(found, is_plain=True) if found and is_plain else found


def measured_cell(columns: Columns, path: FieldPath) -> Cell | None:
    """The column of a field, if its values are the documents' where there are any."""
    found = loose_cell(columns, path)
    if found is None or found.kind == "json" or found.has_odd:
        return None
    return found


def _inside(column: Column, path: Sequence[str]) -> Cell | None:
    """What is known of objects' fields is their kinds."""
    sql, kind = f"c{column.slot}", column.kind
    for name in path:
        match kind:
            case Object(fields) if fields:
                if name not in fields:
                    return Cell(NOWHERE, "")
                sql, kind = f"struct_extract({sql}, {quoted_text(name)})", fields[name]
            case Object() | Anything():
                return None
            case _:
                return Cell(NOWHERE, "")
    return _cell_of_kind(sql, kind, (None, UNDEFINED), has_odd=kind == NUMBER)


def _cell_of_kind(
    sql: str, kind: Kind, nulls: tuple[Any, ...], *, has_odd: bool
) -> Cell | None:
    match kind:
        case Scalar(name):
            return Cell(sql, name, nulls, has_odd)
        case Nothing():
            return Cell(NOWHERE, "", nulls)
        case Anything():
            return Cell(sql, "json", nulls)
        case _:
            return None


def quoted_text(name: str) -> str:
    """A text as SQL takes it, whatever is in it."""
    escaped = name.replace("'", "''")
    return f"'{escaped}'"


# -- filters ------------------------------------------------------------------------


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
        found = _pushed(part, columns) if all(map(never_fails, rest)) else None
        if found is not None:
            texts.append(f"({found.sql})")
            params += found.params
        if found is None or not found.is_exact:
            rest.append(part)
    left = None if not rest else rest[0] if len(rest) == 1 else ("and", *rest)
    return Split(" AND ".join(texts), tuple(params), left)


def _pushed(part: Node, columns: Columns) -> _Part | None:
    try:
        found = _condition(part, columns)
    except NotInSql:
        return None
    return found if found.is_exact or never_fails(part) else None


def _condition(node: Node, columns: Columns) -> _Part:
    name, *operands = node
    if name == "literal" and isinstance(operands[0], bool):
        return _Part(_constant(operands[0]), [])
    if name == "and":
        return _both(operands, columns)
    if name == "or":
        return _joined("or", [_condition(operand, columns) for operand in operands])
    if name == "not":
        inner = _condition(operands[0], columns)
        if not inner.is_exact:
            raise NotInSql
        return _Part(f"NOT ({inner.sql})", inner.params)
    if name in _HOLDS:
        return _comparison(name, operands[0], operands[1], columns)
    if name in ("startswith", "contains"):
        return _text(name, operands[0], operands[1], columns)
    raise NotInSql


def _both(operands: Sequence[Node], columns: Columns) -> _Part:
    """What cannot be asked in SQL is left out: too much is let through."""
    parts = []
    for operand in operands:
        try:
            parts.append(_condition(operand, columns))
        except NotInSql:
            parts.append(_Part("true", [], is_exact=False))
    return _joined("and", parts)


def _joined(name: str, parts: Sequence[_Part]) -> _Part:
    neutral = "true" if name == "and" else "false"
    return _Part(
        f" {name} ".join([neutral, *[f"({part.sql})" for part in parts]]),
        [param for part in parts for param in part.params],
        all(part.is_exact for part in parts),
    )


def _comparison(name: str, left: Node, right: Node, columns: Columns) -> _Part:
    if left[0] == "literal":
        left, right, name = right, left, _FLIPPED.get(name, name)
    of, constant = _cell_of(left, right, columns), right[1]
    _, holds = _HOLDS[name]
    on_nulls = {holds(compare(null, constant)) for null in of.nulls}
    on_null = _Part(_constant(True in on_nulls), [], len(on_nulls) < 2)
    if not of.kind:
        return on_null
    on_value = _on_value(of, name, constant)
    if on_value is None:
        on_value = _Part(_constant(holds(compare(_SAMPLES[of.kind], constant))), [])
        if on_value.sql == on_null.sql and on_null.is_exact:
            return on_value
    elif of.nulls == ():
        return on_value
    return _Part(
        f"CASE WHEN {of.sql} IS NULL THEN {on_null.sql} ELSE {on_value.sql} END"
        if on_null.sql == "true"
        else f"({of.sql} IS NOT NULL AND {on_value.sql})",
        on_value.params,
        on_null.is_exact and on_value.is_exact,
    )


def _on_value(of: Cell, name: str, constant: Any) -> _Part | None:
    """The comparison where there is a value; None: its kind decides."""
    sign, _ = _HOLDS[name]
    if of.kind == "json":
        return _on_json(of, name, constant)
    if _kind(constant) != _kind(_SAMPLES[of.kind]):
        return None
    compared, params = f"{of.sql} {sign} ?", [_parameter(constant)]
    if not of.has_odd:
        return _Part(compared, params)
    # NaN and the negative zero, which DuckDB orders otherwise, are let through.
    odd = f"({compared} OR {of.sql} = 0 OR isnan({of.sql}))"
    return _Part(odd, params, is_exact=False)


def _on_json(of: Cell, name: str, constant: Any) -> _Part | None:
    """The comparison where a value is of several kinds; None: the constant's decides."""
    sign, _ = _HOLDS[name]
    kind = type(constant)
    if not of.is_plain and (name != "eq" or kind not in (str, bool)):
        raise NotInSql
    if kind not in (str, bool, int, float):
        return None
    if name in ("eq", "neq") and (kind is str or math.isfinite(constant)):
        # N.B. as it is: with a cast, DuckDB compares row by row what it could pass over.
        text = to_export_json(constant).decode()
        return _Part(f"{of.sql} {sign} ?", [text], of.is_plain)
    return _ranked(of, name, constant)


def _ranked(of: Cell, name: str, constant: Any) -> _Part:
    """Plain values: by kind, and those of the constant's by what they are."""
    sign, holds = _HOLDS[name]
    rank = plain.rank(of.sql)
    if type(constant) is bool:
        return _Part(f"{rank} {sign} {plain.TRUE if constant else plain.FALSE}", [])
    if type(constant) is str:
        own, value, others = plain.STRING, plain.string(of.sql), holds(-1)
    else:
        own, value, others = plain.NUMBER, plain.number(of.sql), holds(1)
    compared = f"CASE WHEN {rank} = {own} THEN {value} {sign} ? ELSE {others} END"
    return _Part(compared, [_parameter(constant)])


def _text(name: str, left: Node, right: Node, columns: Columns) -> _Part:
    of = _cell_of(left, right, columns)
    if of.kind == "json":
        raise NotInSql
    if of.kind != "string" or not isinstance(right[1], str):
        return _Part("false", [])
    function = "starts_with" if name == "startswith" else "contains"
    return _Part(f"coalesce({function}({of.sql}, ?), false)", [right[1]])


def _cell_of(left: Node, right: Node, columns: Columns) -> Cell:
    if left[0] != "field" or right[0] != "literal" or _is_odd(right[1]):
        raise NotInSql
    of = loose_cell(columns, left[1:])
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
