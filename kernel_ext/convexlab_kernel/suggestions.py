"""Suggestions: which of a deployment's names may stand where the cursor is.

In a module's cell a table goes with `ctx.db.query("`, its indexes with
`.with_index("`, an index's fields with `q.eq("`; in other cells a function goes with
`db.query("`, and its arguments with what follows. Where nothing of ours is meant
there is no suggestion, and completion is left to others. Pure.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from convexlab_kernel.inventory import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convexlab_kernel.cursor import Bracket, Chain, Cursor
    from convexlab_kernel.inventory import Inventory

_SYSTEM_TABLES: Final = ("_storage", "_scheduled_functions")
_WORD: Final = re.compile(r"[\w.]*$")


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What may stand at the cursor.

    Attributes:
        begun: what of it stands there already.
        words: the whole words.
        alone: whether nothing else may stand there.
    """

    begun: str = ""
    words: list[str] = field(default_factory=list)
    alone: bool = True

    @property
    def fitting(self) -> list[str]:
        """The words that begin so."""
        return [word for word in self.words if word.startswith(self.begun)]


NOTHING: Final = Suggestions()


# -- where the cursor is -------------------------------------------------------


def in_module(cursor: Cursor, names: Inventory) -> Suggestions:
    """What may stand in the code of a module."""
    return _suggested(cursor, names, _module_text, _module_keywords)


def in_kernel(cursor: Cursor, names: Inventory) -> Suggestions:
    """What may stand in a cell that calls a deployment."""
    return _suggested(cursor, names, _client_text, _client_keywords)


_Rule: TypeAlias = "Callable[[list[Bracket], Inventory], Iterable[str]]"


def _suggested(
    cursor: Cursor, names: Inventory, text_rule: _Rule, keyword_rule: _Rule
) -> Suggestions:
    brackets = cursor.brackets
    if cursor.text is None:
        return _in_code(cursor, names, keyword_rule)
    if brackets and brackets[-1].called == "sql" and brackets[-1].position == 0:
        return _in_sql(cursor.text, names)
    found = list(text_rule(brackets, names)) if brackets else []
    return Suggestions(cursor.text, found)


def _in_code(cursor: Cursor, names: Inventory, keyword_rule: _Rule) -> Suggestions:
    match [link.name for link in cursor.chain]:
        case ["api" | "internal" as root, *parts, begun]:
            public = root == "api"
            return Suggestions(begun, _parts(names, parts, public=public))
        case ["Id", begun]:
            return Suggestions(begun, [*names.tables])
        case [name, begun] if _is_document(name, cursor.brackets):
            fields = names.all_fields(_table_around(cursor.brackets))
            return Suggestions(begun, fields, alone=False)
        case [] | [_]:
            return _keywords(cursor, names, keyword_rule)
        case _:
            return NOTHING


def _keywords(cursor: Cursor, names: Inventory, rule: _Rule) -> Suggestions:
    inner = cursor.brackets[-1] if cursor.brackets else None
    if inner is None or inner.kind != "(" or inner.keyword or not inner.position:
        return NOTHING
    begun = cursor.chain[0].name if cursor.chain else ""
    words = [_spelled(word) for word in rule(cursor.brackets, names)]
    return Suggestions(begun, [word for word in words if word], alone=False)


def _spelled(name: str) -> str:
    """A name as a keyword argument: `from` is `from_=`."""
    if not name.isidentifier():
        return ""
    return f"{name}_=" if keyword.iskeyword(name) else f"{name}="


def _parts(names: Inventory, parts: list[str], *, public: bool) -> list[str]:
    """What goes on after `api.admin.`: folders, modules, functions."""
    paths = (
        path.replace("/", ".").replace(":", ".").split(".")
        for path, function in names.functions.items()
        if function.is_public is public
    )
    here = len(parts)
    return [*dict.fromkeys(p[here] for p in paths if p[:here] == parts and p[here:])]


def _in_sql(text: str, names: Inventory) -> Suggestions:
    """Tables, and the fields of those that the statement names."""
    begun = _WORD.findall(text)[0]
    before, dot, _ = begun.rpartition(".")
    said = set(re.findall(r"\w+", text))
    if dot:
        own = names.all_fields(before)
        return Suggestions(begun, [f"{before}.{name}" for name in own])
    fields = (
        name
        for table in names.tables
        if table in said
        for name in names.all_fields(table)
    )
    return Suggestions(begun, [*dict.fromkeys([*names.tables, *fields])])


# -- in a module ---------------------------------------------------------------

_TABLE_FIRST: Final = frozenset(
    ["query", "insert", "get", "patch", "replace", "delete", "normalize_id"]
)
_CALLED: Final = {
    "run_query": (0, ("query",)),
    "run_mutation": (0, ("mutation",)),
    "run_action": (0, ("action",)),
    "run_after": (1, ("mutation", "action")),
    "run_at": (1, ("mutation", "action")),
}
_COMPARED: Final = frozenset(["eq", "gt", "gte", "lt", "lte", "in_"])
_FIELD_FIRST: Final = frozenset(["order_by", "sum", "avg", "min", "max", "field"])
_AGGREGATES: Final = frozenset(["sum_", "avg_", "min_", "max_"])
_DOCUMENT_AT: Final = {"insert": 1, "patch": 2, "replace": 2}


def _module_text(brackets: list[Bracket], names: Inventory) -> Iterable[str]:
    inner = brackets[-1]
    match inner.kind:
        case "(":
            return _module_argument(brackets, names)
        case "[" if inner.called == "Id":
            return names.tables
        case "[" if inner.called and _is_document(inner.called, brackets[:-1]):
            return names.all_fields(_table_around(brackets))
        case "{" if not inner.is_value and len(brackets) > 1:
            return _module_keys(brackets[-2], names)
    return ()


def _module_argument(brackets: list[Bracket], names: Inventory) -> Iterable[str]:
    inner = brackets[-1]
    name, position = inner.called, inner.position
    receiver = inner.chain[-2].name if len(inner.chain) > 1 else None
    if inner.keyword is not None:
        return ()
    if name in _CALLED and position == _CALLED[name][0]:
        return names.of_kind(*_CALLED[name][1])
    if name == "group_by":
        return names.all_fields(_table_of(inner.chain))
    if position > 0:
        return _later_argument(inner, names)
    if receiver == "system":
        return _SYSTEM_TABLES
    if (name in _TABLE_FIRST and receiver == "db") or (receiver, name) == ("v", "id"):
        return names.tables
    if name in {"with_index", "with_search_index", "with_vector_index"}:
        return _indexes(names, _table_of(inner.chain), name)
    if name == "vector_search":
        return names.tables
    if name == "order":
        return ("asc", "desc")
    if name in _COMPARED or name == "search":
        return _compared(brackets, names)
    if name in _FIELD_FIRST | _AGGREGATES:
        return names.all_fields(_table_around(brackets))
    return ()


def _later_argument(inner: Bracket, names: Inventory) -> Iterable[str]:
    if inner.called == "vector_search" and inner.position == 1:
        return _indexes(names, inner.arguments[0], "with_vector_index")
    if inner.called == "order_by" and inner.position == 1:
        return ("asc", "desc")
    return ()


def _indexes(names: Inventory, table: str | None, asked: str) -> list[str]:
    found = names.tables.get(table or "")
    if found is None:
        return []
    if asked == "with_index":
        return [*(index.name for index in found if index.is_plain), *BUILT_IN]
    kind = "search" if asked == "with_search_index" else "vector"
    return [index.name for index in found if index.kind == kind]


def _compared(brackets: list[Bracket], names: Inventory) -> Iterable[str]:
    """The fields of the index over which a range, or a search, is being described."""
    for bracket in reversed(brackets[:-1]):
        if bracket.called in {"with_index", "with_search_index", "with_vector_index"}:
            name = bracket.arguments[0] if bracket.arguments else None
            index = names.index(_table_of(bracket.chain), name)
            if index is None or index.is_plain:
                return index.fields if index is not None else ()
            # A search index's first field is searched; the others are compared.
            is_search = brackets[-1].called == "search"
            return index.fields[:1] if is_search else index.fields[1:]
    return ()


def _module_keys(call: Bracket, names: Inventory) -> Iterable[str]:
    """The keys of a dict that is an argument."""
    name, position = call.called, call.position
    if name in _DOCUMENT_AT and position == _DOCUMENT_AT[name]:
        table = call.arguments[0]
        return names.fields(table) if table and table in names.tables else ()
    if name in _CALLED and position == _CALLED[name][0] + 1:
        return names.arguments(call.arguments[position - 1])
    return ()


def _module_keywords(brackets: list[Bracket], names: Inventory) -> Iterable[str]:
    inner = brackets[-1]
    if inner.called == "with_index":
        index = names.index(_table_of(inner.chain), inner.arguments[0])
        return index.fields if index is not None else ()
    if inner.called in _CALLED and inner.position > _CALLED[inner.called][0]:
        return names.arguments(inner.arguments[_CALLED[inner.called][0]])
    return ()


def _table_of(chain: Chain) -> str | None:
    """The table that a chain queries."""
    for link in reversed(chain):
        if link.name == "query" and link.arguments:
            return link.arguments[0]
    return None


def _table_around(brackets: list[Bracket]) -> str | None:
    found = (_table_of(bracket.chain) for bracket in reversed(brackets))
    return next((table for table in found if table is not None), None)


def _is_document(name: str, brackets: list[Bracket]) -> bool:
    """Whether a name is what a filter's lambda is given."""
    return any(
        bracket.called == "filter" and name in bracket.parameters
        for bracket in brackets
    )


# -- in a cell that calls a deployment -----------------------------------------

CLIENTS: Final = {
    "query": ("query",),
    "watch": ("query",),
    "mutation": ("mutation",),
    "action": ("action",),
    "run": ("query", "mutation", "action"),
}
CONTROLS: Final = {
    "MutationForm": ("mutation",),
    "MutationButton": ("mutation",),
    "Paginated": ("query",),
    "SearchBox": ("query", "action"),
}
_KINDS: Final = {**CLIENTS, **CONTROLS}


def _client_text(brackets: list[Bracket], names: Inventory) -> Iterable[str]:
    inner = brackets[-1]
    if inner.kind == "(" and inner.position == 0 and inner.keyword is None:
        if inner.called in {"table", "history"}:
            return names.tables
        if inner.called is not None and inner.called in _KINDS:
            return names.of_kind(*_KINDS[inner.called], public=inner.called != "run")
    if inner.kind == "{" and not inner.is_value and len(brackets) > 1:
        return _client_keywords(brackets[:-1], names)
    return ()


def _client_keywords(brackets: list[Bracket], names: Inventory) -> Iterable[str]:
    inner = brackets[-1]
    if inner.called in CLIENTS and inner.position >= 1:
        return names.arguments(inner.arguments[0])
    return ()
