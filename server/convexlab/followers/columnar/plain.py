"""Plain values of several kinds in one column: what DuckDB makes of their JSON.

They are numbers that JSON can say, booleans and strings. Each has a text of its own,
whose first letter tells its kind; so they are compared, and ordered, as documents are.
"""

from __future__ import annotations

NUMBER, FALSE, TRUE, STRING = range(4)


def rank(name: str) -> str:
    """Which of the kinds above a column's value is of."""
    return (
        f"CASE left({name}::VARCHAR, 1) WHEN '\"' THEN {STRING} WHEN 't' THEN {TRUE}"
        f" WHEN 'f' THEN {FALSE} ELSE {NUMBER} END"
    )


def number(name: str) -> str:
    """The value, if it is a number."""
    return f"TRY_CAST({name}::VARCHAR AS DOUBLE)"


def string(name: str) -> str:
    """The value, if it is a string."""
    return f"json_extract_string({name}, '$')"
