"""A file's rows are lines of JSON, and what is wrong with one is told by its line."""

from __future__ import annotations

import io

import pytest

from convexlab.documents.encoding import from_stored
from convexlab.documents.rows import lines_of
from convexlab.errors import InvalidValue


def rows(text, form):
    file = io.BytesIO(text.encode())
    return [from_stored(line) for line in lines_of(file, form, "a.file")]


def test_cells_that_read_as_numbers_are_numbers():
    text = '\ufeffname, n\nann,1\n"a,b",1e3\nx_1,1_000\n,nan\n'
    said = rows(text, "csv")
    assert said[:3] == [
        {"name": "ann", "n": 1.0},
        {"name": "a,b", "n": 1000.0},
        {"name": "x_1", "n": "1_000"},
    ]
    assert said[3]["name"] == ""
    assert said[3]["n"] != said[3]["n"], "not a number"


def test_lines_and_arrays_of_objects_are_rows():
    assert rows('{"a": 1}\n {"b": [2]} \n', "jsonLines") == [{"a": 1}, {"b": [2]}]
    assert rows('[{"a":\n 1}, {"b": "x\\ny"}]', "jsonArray") == [
        {"a": 1},
        {"b": "x\ny"},
    ]
    assert rows("[]", "jsonArray") == rows("", "jsonLines") == []


@pytest.mark.parametrize(
    ("form", "text", "told"),
    [
        ("csv", "", "line 1 must name every column"),
        ("csv", "a,,b\n", "line 1 must name every column"),
        ("csv", "a,b\n1\n", "line 2: 1 cells under 2 columns"),
        ("jsonLines", '{"a":1}\n\n{"a":2}', "line 2: blank"),
        ("jsonArray", '{"a":1}', "not a JSON array"),
        ("xml", "", "no form of rows"),
    ],
)
def test_what_is_no_row_is_named(form, text, told):
    with pytest.raises(InvalidValue, match=told) as refused:
        rows(text, form)
    assert "a.file" in str(refused.value)
