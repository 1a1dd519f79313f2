"""Which documents a statement depends on, as far as its WHERE says so.

    select … from tasks where project = 'p1' and done
        ─▶ tasks: eq(project, "p1") and eq(done, true)

A write whose document fails these before and after changes nothing that the statement
gives: its rows are left out before anything else is done with them. That holds for one
plain SELECT over tables and joins of them, and while the columns are what they are: so
beside what passes, whatever does not fit the columns counts (`documents.shape`).

Nothing is narrowed where the WHERE holds something that may fail: a row that is left out
might be judged by it first, and its failure be the statement's.

Invariants
    N1  A document for which a statement's WHERE may be true passes what is said here.
    N2  What is said of a table that may be missing on its side of a join is false for
        missing ones: then its rows that fail cannot stand in for missing ones either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from convexlab.documents import expression
from convexlab.documents.shape import ANYTHING, NOTHING
from convexlab.documents.value import MAX_EXACT_INT, UNDEFINED, Int64
from convexlab.followers.columnar.kinds import (
    Anything,
    Array,
    Kind,
    Nothing,
    Object,
    Scalar,
)
from convexlab.followers.columnar.statement import nodes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from convexlab.documents.expression import Node
    from convexlab.documents.shape import Shape
    from convexlab.followers.columnar.shredding import Columns
    from convexlab.followers.columnar.tables import MirrorTable

    Tree: TypeAlias = dict[str, Any]
    # What a condition says of each source, by its number.
    Said: TypeAlias = dict[int, Node]


class Untold(Exception):
    """Nothing can be said of this statement."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A table in FROM: as it is called there, its name, and its fields' kinds by column."""

    alias: str
    name: str
    kinds: Mapping[str, tuple[str, Kind]]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column that a condition names: whose it is, its field, and its kind of value."""

    source: int
    field: Node
    kind: str


_SIGNS: Final = {
    "COMPARE_EQUAL": "eq",
    "COMPARE_NOTEQUAL": "neq",
    "COMPARE_LESSTHAN": "lt",
    "COMPARE_LESSTHANOREQUALTO": "lte",
    "COMPARE_GREATERTHAN": "gt",
    "COMPARE_GREATERTHANOREQUALTO": "gte",
}
_FLIPPED: Final = {"lt": "gt", "lte": "gte", "gt": "lt", "gte": "lte"}
_JOINS: Final = frozenset({"INNER", "LEFT", "RIGHT", "OUTER", "FULL"})
_LIKE: Final = frozenset({"~~", "!~~", "~~*", "!~~*"})
_NUMBERS: Final = frozenset({"number", "whole"})


def narrowed(
    tree: Tree,
    tables: Mapping[str, MirrorTable],
    params: Sequence[Any] | Mapping[str, Any],
) -> dict[str, list[bytes]]:
    """What a document passes that matters, by table: one of several expressions.

    Args:
        tree: the statement's, as DuckDB parses it.
        tables: the schema's.
        params: the statement's.
    """
    try:
        sources, conditions, is_outer = _from(tree, tables)
        reading = _Reading(sources, params, _aliases(tree), is_outer)
        for condition in conditions:
            reading.said(condition)  # that it cannot fail
        where = tree["where_clause"]
        said = reading.said(where) if where is not None else {}
    except (Untold, RecursionError):
        return {}
    read_once = _read_once(tree, sources)
    return {
        source.name: [
            expression.encode(said[number]),
            expression.encode(("not", _fits(tables[source.name].columns))),
        ]
        for number, source in enumerate(sources)
        if number in said and source.name in read_once
    }


def _read_once(tree: Tree, sources: Iterable[_Source]) -> set[str]:
    """The tables that are named in the statement only once, and in its FROM."""
    named = [
        node["table_name"].lower()
        for node in nodes_of(tree)
        if node.get("type") == "BASE_TABLE"
    ]
    return {source.name for source in sources if named.count(source.name.lower()) == 1}


def _fits(columns: Columns) -> Node:
    shape = {name: shape_of(column.kind) for name, column in columns.items()}
    return ("fits", ("literal", shape))


def shape_of(kind: Kind) -> Shape:
    """A kind as a shape."""
    match kind:
        case Scalar(name):
            return name
        case Array(items):
            return [shape_of(items)]
        case Object(fields):
            return {name: shape_of(of) for name, of in fields.items()}
        case Nothing():
            return NOTHING
        case Anything():
            return ANYTHING


# -- FROM -----------------------------------------------------------------------------


def _from(
    tree: Tree, tables: Mapping[str, MirrorTable]
) -> tuple[list[_Source], list[Tree], bool]:
    """The tables, the conditions of their joins, and whether rows may be missing."""
    if tree["type"] != "SELECT_NODE" or tree["sample"] is not None:
        raise Untold
    if (tree.get("cte_map") or {}).get("map"):
        raise Untold
    by_name = {name.lower(): name for name in tables}
    sources: list[_Source] = []
    conditions: list[Tree] = []
    is_outer = False
    waiting = [tree["from_table"]]
    while waiting:
        node = waiting.pop()
        if node.get("sample") is not None:
            raise Untold
        if node["type"] == "BASE_TABLE":
            sources.append(_source(node, by_name, tables))
        elif node["type"] == "JOIN":
            is_outer |= _check_join(node) != "INNER"
            if node.get("condition") is not None:
                conditions.append(node["condition"])
            waiting += [node["left"], node["right"]]
        else:
            raise Untold
    return sources, conditions, is_outer


def _source(
    node: Tree, by_name: Mapping[str, str], tables: Mapping[str, MirrorTable]
) -> _Source:
    name = by_name.get(node["table_name"].lower())
    if name is None or node.get("column_name_alias") or node.get("at_clause"):
        raise Untold
    columns = tables[name].columns
    kinds: dict[str, tuple[str, Kind]] = {
        "_id": ("_id", Scalar("string")),
        "_creationtime": ("_creationTime", Scalar("number")),
    }
    for column in columns.values():
        if column.name.lower() in kinds:  # two that SQL tells apart by other names
            raise Untold
        kinds[column.name.lower()] = (column.name, column.kind)
    return _Source((node.get("alias") or name).lower(), name, kinds)


def _check_join(node: Tree) -> str:
    kind: str = node["join_type"]
    if node["ref_type"] not in ("REGULAR", "CROSS") or kind not in _JOINS:
        raise Untold
    if node.get("using_columns"):
        raise Untold
    return kind


def _aliases(tree: Tree) -> set[str]:
    """What the select list calls its columns: WHERE may mean these."""
    return {each["alias"].lower() for each in tree["select_list"] if each.get("alias")}


# -- WHERE ----------------------------------------------------------------------------


class _Reading:
    """The conditions of one SELECT."""

    def __init__(
        self,
        sources: Sequence[_Source],
        params: Sequence[Any] | Mapping[str, Any],
        aliases: set[str],
        is_outer: bool,
    ) -> None:
        self._sources = sources
        self._params = params
        self._aliases = aliases
        self._is_outer = is_outer

    def said(self, tree: Tree) -> Said:
        """What must hold of documents where this condition is true.

        Raises:
            Untold: it may fail, or is not understood.
        """
        match tree["class"], tree["type"]:
            case "CONJUNCTION", "CONJUNCTION_AND":
                return _all([self.said(child) for child in tree["children"]])
            case "CONJUNCTION", "CONJUNCTION_OR":
                return _any([self.said(child) for child in tree["children"]])
            case "COMPARISON", kind if kind in _SIGNS:
                return self._comparison(_SIGNS[kind], tree["left"], tree["right"])
            case "BETWEEN", "COMPARE_BETWEEN":
                lower = self._comparison("gte", tree["input"], tree["lower"])
                return _all(
                    [lower, self._comparison("lte", tree["input"], tree["upper"])]
                )
            case "OPERATOR", kind:
                return self._operator(kind, tree["children"])
            case "FUNCTION", _ if tree["function_name"] in _LIKE:
                self._check_like([each["expression"] for each in tree["arguments"]])
                return {}
            case "COLUMN_REF", _:
                return self._flag(tree, is_set=True)
            case _:
                raise Untold

    def _operator(self, kind: str, children: list[Tree]) -> Said:
        first, *others = children
        match kind:
            case "COMPARE_IN":
                return _any([self._comparison("eq", first, each) for each in others])
            case "COMPARE_NOT_IN":
                for each in others:
                    self._comparison("neq", first, each)
                return {}
            case "OPERATOR_NOT" if first["class"] == "COLUMN_REF":
                return self._flag(first, is_set=False)
            case "OPERATOR_NOT":
                self.said(first)
                return {}
            case "OPERATOR_IS_NOT_NULL":
                self._column(first, any_kind=True)
                return {}
            case "OPERATOR_IS_NULL":
                column = self._column(first, any_kind=True)
                if self._is_outer:  # N2
                    return {}
                choices = [
                    ("eq", column.field, ("literal", x)) for x in (None, UNDEFINED)
                ]
                return {column.source: ("or", *choices)}
            case _:
                raise Untold

    def _flag(self, tree: Tree, *, is_set: bool) -> Said:
        column = self._column(tree)
        if column.kind != "boolean":
            raise Untold
        return {column.source: ("eq", column.field, ("literal", is_set))}

    def _check_like(self, arguments: list[Tree]) -> None:
        text, pattern = arguments
        if (
            self._column(text).kind != "string"
            or type(self._constant(pattern)) is not str
        ):
            raise Untold

    def _comparison(self, sign: str, left: Tree, right: Tree) -> Said:
        if left["class"] != "COLUMN_REF":
            left, right, sign = right, left, _FLIPPED.get(sign, sign)
        column = self._column(left)
        if right["class"] == "COLUMN_REF":
            other = self._column(right)
            if other.kind != column.kind and {other.kind, column.kind} != _NUMBERS:
                raise Untold
            return {}
        said = _compared(sign, column, self._constant(right))
        return {} if sign == "neq" else {column.source: said}

    def _column(self, tree: Tree, *, any_kind: bool = False) -> _Column:
        if tree["class"] != "COLUMN_REF":
            raise Untold
        *qualified, name = (part.lower() for part in tree["column_names"])
        if len(qualified) > 1 or (not qualified and name in self._aliases):
            raise Untold
        found = [
            (number, *source.kinds[name])
            for number, source in enumerate(self._sources)
            if name in source.kinds and (not qualified or qualified == [source.alias])
        ]
        if len(found) != 1 or any(
            part in source.kinds for part in qualified for source in self._sources
        ):
            raise Untold
        ((number, field, kind),) = found
        if not isinstance(kind, Scalar) and not any_kind:
            raise Untold
        scalar = kind.name if isinstance(kind, Scalar) else ""
        return _Column(number, ("field", field), scalar)

    def _constant(self, tree: Tree) -> Any:
        match tree["class"]:
            case "CONSTANT":
                return _literal(tree.get("literal") or {})
            case "PARAMETER":
                return self._param(tree["identifier"])
            case "FUNCTION" if (
                tree["function_name"] == "-" and len(tree["arguments"]) == 1
            ):
                number = self._constant(tree["arguments"][0]["expression"])
                if type(number) not in (int, float):
                    raise Untold
                return -number
            case _:
                raise Untold

    def _param(self, identifier: str) -> Any:
        if not isinstance(self._params, list):
            assert isinstance(self._params, dict), self._params
            if identifier not in self._params:
                raise Untold
            return self._params[identifier]
        number = int(identifier) if identifier.isdigit() else 0
        if not 1 <= number <= len(self._params):
            raise Untold
        return self._params[number - 1]


def _all(parts: Sequence[Said]) -> Said:
    found: dict[int, list[Node]] = {}
    for part in parts:
        for source, node in part.items():
            found.setdefault(source, []).append(node)
    return {
        source: nodes[0] if len(nodes) == 1 else ("and", *nodes)
        for source, nodes in found.items()
    }


def _any(parts: Sequence[Said]) -> Said:
    """What each of them says something of."""
    return {
        source: ("or", *[part[source] for part in parts])
        for source in parts[0]
        if all(source in part for part in parts)
    }


# -- comparisons ------------------------------------------------------------------------


def _literal(literal: Tree) -> Any:
    kind, text = literal.get("kind"), literal.get("text", "")
    if kind == "STRING":
        return text
    if kind == "BOOLEAN":
        return text.lower() == "true"
    try:
        if kind == "INTEGER":
            return int(text)
        if kind == "NUMERIC":
            return float(text)
    except ValueError:
        pass
    raise Untold


def _compared(sign: str, column: _Column, constant: Any) -> Node:
    """What a comparison of a column with a constant of its kind says.

    Raises:
        Untold: the constant is of another kind: DuckDB converts one of both, or fails.
    """
    field = column.field
    match column.kind:
        case "string" if type(constant) is str:
            return (sign, field, ("literal", constant))
        case "boolean" if type(constant) is bool and sign in ("eq", "neq"):
            return (sign, field, ("literal", constant))
        case "int64" if type(constant) in (int, Int64) and _is_int64(constant):
            return (sign, field, ("literal", Int64(constant)))
        case "number" | "whole" if type(constant) in (int, float, Int64):
            return _of_numbers(sign, field, constant)
        case _:
            raise Untold


def _is_int64(constant: int) -> bool:
    return -(2**63) <= constant < 2**63


def _of_numbers(sign: str, field: Node, constant: float) -> Node:
    """N.B. to DuckDB both zeros are one, and NaN is above all numbers."""
    if not math.isfinite(constant) or abs(constant) > MAX_EXACT_INT:
        raise Untold
    number = float(constant)
    if not number and sign in ("eq", "lte", "gte"):
        least, most = ("literal", -0.0), ("literal", 0.0)
        at_least, at_most = ("gte", field, least), ("lte", field, most)
        chosen = {"eq": ("and", at_least, at_most), "lte": at_most, "gte": at_least}
        node: Node = chosen[sign]
    else:
        node = (sign, field, ("literal", number))
    if sign in ("gt", "gte"):
        return ("or", node, ("lt", field, ("literal", -math.inf)))
    return node
