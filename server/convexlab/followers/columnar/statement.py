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
    from collections.abc import Collection, Iterable, Iterator

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
    "ago": _CLOCKS,
}
# What tells of DuckDB's own work, or adds to it, and nothing of documents.
_BESIDE: Final = frozenset(
    {
        "current_connection_id",
        "current_query",
        "current_query_id",
        "current_transaction_id",
        "pg_conf_load_time",
        "pg_postmaster_start_time",
        "pg_sleep",
        "setval",
        "sleep_ms",
        "stats",
        "txid_current",
        "vector_type",
        "write_log",
    }
)


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
    tree = _parse(connection, text)
    for node in nodes_of(tree):
        _check_sample(node)
        match node.get("type"):
            case "TABLE_FUNCTION":
                _check_table_function(node)
            case "FUNCTION":
                _check_stable(node["function_name"], len(node["arguments"]))
            case "COLUMN_REF" if len(node["column_names"]) == 1:
                _check_keyword(node["column_names"][0])
            case "SHOW_REF":
                raise InvalidQuery(_ONE_SELECT)
            case _:
                pass
    names = list(known)
    tables = dict.fromkeys(_table(node, names) for node in _tables_in(tree))
    _check_apart(tables)
    return Statement(text, tuple(tables), tree)


_ONE_SELECT: Final = "SQL reads only: write one SELECT statement."


def _parse(connection: duckdb.DuckDBPyConnection, text: str) -> Any:
    parsing = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text])
    ((json,),) = parsing.fetchall()  # all: the connection is free again
    try:
        tree = msgspec.json.decode(json)
    except RecursionError:
        raise InvalidQuery("SQL: an expression is nested too deeply.") from None
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


def nodes_of(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(reversed(list(node.values())))
        elif isinstance(node, list):
            waiting.extend(reversed(node))


def _tables_in(tree: Any) -> Iterator[dict[str, Any]]:
    """The nodes that name a table, and nothing that a WITH has made in their sight."""
    waiting: list[tuple[Any, frozenset[str]]] = [(tree, frozenset())]
    while waiting:
        node, made = waiting.pop()
        if isinstance(node, list):
            waiting.extend((part, made) for part in reversed(node))
        elif isinstance(node, dict):
            is_table = node.get("type") == "BASE_TABLE"
            if is_table and (_schema(node) or node["table_name"].lower() not in made):
                yield node
            parts = list[tuple[Any, frozenset[str]]]()
            for entry in (node.get("cte_map") or {}).get("map", []):
                before, made = made, made | {entry["key"].lower()}
                # One sees those before it, and itself only where it is recursive.
                inner = entry["value"]["query_node"]
                is_recursive = inner["type"] == "RECURSIVE_CTE_NODE"
                parts.append((inner, made if is_recursive else before))
            parts += [(part, made) for name, part in node.items() if name != "cte_map"]
            waiting.extend(reversed(parts))


def _schema(node: dict[str, Any]) -> str:
    return node.get("schema_name") or node.get("catalog_name") or ""


def _table(node: dict[str, Any], known: Collection[str]) -> str:
    """The schema's table that is named, as the schema has it; SQL ignores case."""
    name: str = node["table_name"]
    if _schema(node):
        raise NotFound(
            f"There is no table `{_schema(node)}.{name}`: name tables as in the schema."
        )
    alike = [each for each in known if each.lower() == name.lower()]
    if name in alike:
        return name
    if not alike:
        raise NotFound(_no_table(name, known))
    if len(alike) > 1:
        raise InvalidQuery(
            f"`{name}` may be {_listed(alike)}: write the one that is meant as in the schema."
        )
    return alike[0]


def _check_apart(tables: Collection[str]) -> None:
    for name in tables:
        alike = [each for each in tables if each.lower() == name.lower()]
        if len(alike) > 1:
            raise InvalidQuery(
                f"SQL ignores case, so one statement cannot read both {_listed(alike)}: "
                "read one of them, or rename it."
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{each}`" for each in sorted(names))


def _no_table(name: str, known: Iterable[str]) -> str:
    return f"There is no table `{name}`. Tables: {_listed(known) or 'none yet'}."


def _check_table_function(node: dict[str, Any]) -> None:
    name = node["function"]["function_name"]
    if name not in TABLE_FUNCTIONS:
        allowed = ", ".join(sorted(TABLE_FUNCTIONS))
        raise InvalidQuery(
            f"SQL reads the schema's tables, not `{name}(…)`; table functions are {allowed}."
        )


def _check_stable(name: str, arguments: int = 0) -> None:
    if name in _BESIDE:
        raise InvalidQuery(
            f"`{name}` is about DuckDB's own work: SQL reads the schema's tables."
        )
    # Of one time it is the age by now, of two what is between them.
    why = _CLOCKS if (name, arguments) == ("age", 1) else UNSTABLE.get(name)
    if why is not None:
        raise InvalidQuery(
            f"`{name}` changes by itself, so the result would be stale at once: {why}."
        )


def _check_sample(node: dict[str, Any]) -> None:
    sample = node.get("sample")
    if isinstance(sample, dict) and not sample["repeatable"]:
        raise InvalidQuery(
            "A sample is another one each time: say which, for example "
            "`USING SAMPLE reservoir(100 ROWS) REPEATABLE (1)`."
        )


def _check_keyword(name: str) -> None:
    """`current_date` is written like a column."""
    if name.lower().startswith(("current_", "localtime")):
        _check_stable(name.lower())
