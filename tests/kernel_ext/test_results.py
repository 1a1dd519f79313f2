"""Documents as lists, tables and frames."""

# ruff: noqa: TID253 - the test is about these libraries

from __future__ import annotations

import pandas as pd
import pytest

from convexlab.documents.value import Int64
from convexlab_kernel.results import (
    Documents,
    presented,
    to_arrow,
    to_pandas,
    to_polars,
)

ROWS = [
    {"_id": "a", "_creationTime": 1_357_017_300_000.25, "n": 1, "big": Int64(7)},
    {"_id": "b", "_creationTime": 1_357_017_300_001.0, "n": 1.5, "tags": ["x"]},
]


def test_a_list_of_documents_is_a_list_that_shows_as_a_table():
    value = presented(ROWS)
    assert isinstance(value, Documents)
    assert value == ROWS
    assert isinstance(value[:1], Documents)
    assert value[0] is ROWS[0]
    assert "2 documents<" in value._repr_html_()


def test_what_was_asked_for_says_of_when_it_is():
    value = presented(ROWS, as_of=1_357_017_300_000.0)
    assert "2 documents · as of 2013-01-01 05:15:00.000Z" in value._repr_html_()
    assert "1 document · as of 2013-01-01" in value[:1]._repr_html_()


@pytest.mark.parametrize("value", [1, "x", None, {"a": 1}, [1, 2], [{"a": 1}, 2]])
def test_other_values_stay_as_they_are(value):
    assert presented(value) is value


def test_creation_time_is_a_utc_time_in_pandas():
    frame = to_pandas(ROWS)
    assert list(frame.columns) == ["_id", "_creationTime", "n", "big", "tags"]
    assert frame["_creationTime"][0] == pd.Timestamp(
        "2013-01-01 05:15:00.000250", tz="UTC"
    )
    assert pd.isna(frame["big"][1])


def test_polars_and_arrow_have_the_same_cells():
    polars, arrow = to_polars(ROWS), to_arrow(ROWS)
    assert polars.columns == arrow.column_names == list(to_pandas(ROWS).columns)
    assert polars["n"].to_list() == arrow["n"].to_pylist() == [1.0, 1.5]
    assert polars["_creationTime"][0] == arrow["_creationTime"][0].as_py()
    assert polars["tags"].to_list() == arrow["tags"].to_pylist() == [None, ["x"]]


def test_no_documents_make_an_empty_frame():
    assert len(to_pandas([])) == len(to_polars([])) == to_arrow([]).num_rows == 0


def test_documents_without_a_creation_time_have_none_in_pandas():
    created = to_pandas([{"_creationTime": 1_357_017_300_000.25}, {"n": 1}])
    assert str(created["_creationTime"][0]) == "2013-01-01 05:15:00.000250+00:00"
    assert pd.isna(created["_creationTime"][1])


def test_values_of_several_kinds_are_json_in_arrow():
    rows = [{"x": 1}, {"x": "1"}, {}, {"x": {"y": b"a"}}, {"x": [1, "a"]}]
    texts = ["1.0", '"1"', None, '{"y":{"$bytes":"YQ=="}}', '[1.0,"a"]']
    assert to_arrow(rows)["x"].to_pylist() == texts
