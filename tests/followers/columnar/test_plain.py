"""What DuckDB makes of the JSON of a plain value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.encoding import to_export_json
from convexlab.followers.columnar import plain

if TYPE_CHECKING:
    import duckdb


@pytest.mark.parametrize(
    ("value", "rank"),
    [
        (-2.5, plain.NUMBER),
        (1e300, plain.NUMBER),
        (False, plain.FALSE),
        (True, plain.TRUE),
        ("", plain.STRING),
        ("true", plain.STRING),
        ('é"\n\0', plain.STRING),
    ],
)
def test_a_text_tells_its_kind_and_its_value(
    connection: duckdb.DuckDBPyConnection, value: Any, rank: int
):
    of = {plain.NUMBER: plain.number("c"), plain.STRING: plain.string("c")}
    fields = f"{plain.rank('c')}, {of.get(rank, 'c = ?')}"
    text = to_export_json(value).decode()
    found = connection.execute(
        f"SELECT {fields} FROM (SELECT ?::JSON AS c)",
        [text, text] if rank not in of else [text],
    )
    assert found.fetchall() == [(rank, value if rank in of else True)]
