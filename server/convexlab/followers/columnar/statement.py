"""A SQL statement before it is run: what it reads, and whether it may.

DuckDB's own parser says what a statement is, so nothing here guesses from its text.
One SELECT (or FROM, VALUES, a WITH before it) over the schema's tables is allowed.
What would make equal reads differ is refused: a query's result is kept until its
tables change, and nobody would tell it that the clock has moved on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.errors import InvalidQuery, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb

TABLE_FUNCTIONS: Final = frozenset(
    {"range", "generate_series", "unnest", "json_each", "json_tree"}
)
_CLOCKS: Final = "pass the time as a parameter"
_CHANCE: Final = "draw it in the function and pass it as a parameter"
UNSTABLE: Final = {
    **dict.fromkeys(
        (
            "now",
            "current_date",
            "current_time",
            "current_timestamp",
            "current_localtime",
            "current_localtimestamp",
            "get_current_time",
            "get_current_timestamp",
            "transaction_timestamp",
            "today",
            "localtime",
            "localtimestamp",
        ),
        _CLOCKS,
    ),
    **dict.fromkeys(
        ("random", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid"), _CHANCE
    ),
    **dict.fromkeys(
        ("nextval", "currval", "getenv", "getvariable", "current_setting"),
        "pass the value as a parameter",
    ),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement that may be run.

    Attributes:
        text: as it was written.
        tables: the schema's tables that it reads, or may.
        tree: as DuckDB parses it.
    """

    text: str
    tables: tuple[str, ...]
    tree: Any


def read_statement(
    connection: duckdb.DuckDBPyConnection, text: str, known: Iterable[str]
) -> Statement:
    """Parse a statement and see what it reads.

    Args:
        connection: any.
        text: the SQL.
        known: the names of the schema's tables.

    Raises:
        InvalidQuery: it does not parse, is not one SELECT, or uses what changes by
            itself.
        NotFound: it names a table that is not there.
    """
    names = {name.lower(): name for name in known}
    tree = _parse(connection, text)
    ctes = {entry["key"].lower() for node in _nodes(tree) for entry in _ctes(node)}
    tables: dict[str, None] = {}
    for node in _nodes(tree):
        match node.get("type"):
            case "BASE_TABLE":
                name = _table_name(node)
                if name.lower() in names:
                    tables[names[name.lower()]] = None
                elif name.lower() not in ctes:
                    raise NotFound(_no_table(name, names.values()))
            case "TABLE_FUNCTION":
                _check_table_function(node)
            case "FUNCTION":
                _check_stable(node["function_name"])
            case "COLUMN_REF" if len(node["column_names"]) == 1:
                _check_keyword(node["column_names"][0])
            case "SHOW_REF":
                raise InvalidQuery(_ONE_SELECT)
            case _:
                pass
    return Statement(text, tuple(tables), tree)


_ONE_SELECT: Final = "SQL reads only: write one SELECT statement."


def _parse(connection: duckdb.DuckDBPyConnection, text: str) -> Any:
    parsing = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text])
    ((json,),) = parsing.fetchall()  # all: the connection is free again
    tree = msgspec.json.decode(json)
    if tree["error"]:
        if tree["error_type"] == "not implemented":
            raise InvalidQuery(_ONE_SELECT)
        raise InvalidQuery(f"SQL: {tree['error_message']}{_where(tree, text)}")
    if len(tree["statements"]) != 1:
        raise InvalidQuery(_ONE_SELECT)
    return tree["statements"][0]["node"]


def _where(tree: Any, text: str) -> str:
    position = tree.get("position")
    if position is None:
        return ""
    before = text.encode()[: int(position)].decode(errors="ignore")
    line = before.count("\n") + 1
    return f" (line {line}, column {len(before) - before.rfind(chr(10))})"


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(reversed(list(node.values())))
        elif isinstance(node, list):
            waiting.extend(reversed(node))


def _ctes(node: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (node.get("cte_map") or {}).get("map", [])
    return found


def _table_name(node: dict[str, Any]) -> str:
    name: str = node["table_name"]
    schema = node.get("schema_name") or node.get("catalog_name")
    if schema:
        raise NotFound(
            f"There is no table `{schema}.{name}`: name tables as in the schema."
        )
    return name


def _no_table(name: str, known: Iterable[str]) -> str:
    tables = ", ".join(f"`{each}`" for each in sorted(known)) or "none yet"
    return f"There is no table `{name}`. Tables: {tables}."


def _check_table_function(node: dict[str, Any]) -> None:
    name = node["function"]["function_name"]
    if name not in TABLE_FUNCTIONS:
        allowed = ", ".join(sorted(TABLE_FUNCTIONS))
        raise InvalidQuery(
            f"SQL reads the schema's tables, not `{name}(…)`; table functions are {allowed}."
        )


def _check_stable(name: str) -> None:
    if name in UNSTABLE:
        raise InvalidQuery(
            f"`{name}` changes by itself, so the result would be stale at once: {UNSTABLE[name]}."
        )


def _check_keyword(name: str) -> None:
    """`current_date` is written like a column."""
    if name.lower().startswith(("current_", "localtime")):
        _check_stable(name.lower())
