"""A file's rows are lines of JSON, and what is wrong with one is told by its line."""

from __future__ import annotations

import io

import pytest

from convexlab.documents.cells import NUMBERS, TEXT
from convexlab.documents.encoding import from_stored
from convexlab.documents.rows import lines_of
from convexlab.errors import InvalidValue


def rows(text, form):
    file = io.BytesIO(text.encode())
    return [from_stored(line) for line in lines_of(file, form, "a.file")]


def test_a_column_of_numbers_has_numbers_and_nothing_where_a_cell_is_empty():
    text = '\ufeffname, n,m,none\nann,1,1,\n"a,b",,1_000,\n,1e3,,\n2,nan,x,\n'
    said = rows(text, "csv")
    assert said[:3] == [
        {"name": "ann", "n": 1.0, "m": "1"},
        {"name": "a,b", "m": "1_000"},
        {"name": "", "n": 1000.0, "m": ""},
    ]
    assert said[3]["name"] == "2"
    assert said[3]["n"] != said[3]["n"], "not a number"


def test_columns_that_are_of_a_type_are_read_as_it():
    columns = {"zip": TEXT, "n": NUMBERS}
    said = lines_of(io.BytesIO(b"zip,n,m\n01234,,5\n,x,\n"), "csv", "f", columns)
    assert list(map(from_stored, said)) == [
        {"zip": "01234", "m": 5.0},
        {"zip": "", "n": "x"},
    ]


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
