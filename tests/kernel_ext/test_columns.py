"""Data frames as JSON lines."""

# ruff: noqa: TID253 - the test is about these libraries

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from convexlab.documents.encoding import from_stored
from convexlab.documents.value import Int64
from convexlab.errors import InvalidValue
from convexlab_kernel.columns import Frame, is_frame, to_ms

MOMENT = datetime(2013, 1, 1, 5, 15, tzinfo=UTC)
MS = 1_357_017_300_000


def rows(frame, *, null=False):
    read = Frame(frame, null=null)
    return [from_stored(line) for line in read.lines(0, read.rows).splitlines()]


def test_numpys_numbers_become_pythons():
    frame = pd.DataFrame(
        {"i": np.array([1, 2], "int16"), "f": [1.0, 2.5], "b": [True, False]}
    )
    got = rows(frame)
    assert got == [{"i": 1, "f": 1.0, "b": True}, {"i": 2, "f": 2.5, "b": False}]
    assert [type(v) for v in got[0].values()] == [int, float, bool]


@pytest.mark.parametrize("gone", [np.nan, None, pd.NA, pd.NaT])
def test_a_missing_cell_is_an_absent_field(gone):
    frame = pd.DataFrame({"a": [1, 2], "x": pd.Series(["t", gone], dtype=object)})
    assert rows(frame) == [{"a": 1, "x": "t"}, {"a": 2}]
    assert rows(frame, null=True)[1] == {"a": 2, "x": None}


def test_missing_numbers_and_times_are_absent_too():
    frame = pd.DataFrame(
        {
            "f": [1.5, np.nan],
            "n": pd.array([1, None], dtype="Int64"),
            "t": pd.to_datetime(["2013-01-01 05:15", None]),
            "c": pd.Categorical(["x", None]),
        }
    )
    assert rows(frame) == [{"f": 1.5, "n": 1, "t": MS, "c": "x"}, {}]


def test_times_become_milliseconds_of_utc():
    naive = pd.Timestamp("2013-01-01 05:15")
    frame = pd.DataFrame(
        {
            "naive": [naive],
            "zoned": [naive.tz_localize("UTC").tz_convert("America/New_York")],
            "part": [naive + pd.Timedelta(microseconds=1)],
            "object": pd.Series([MOMENT], dtype=object),
            "day": [date(2013, 1, 1)],
        }
    )
    day = MS - (5 * 60 + 15) * 60_000
    (row,) = rows(frame)
    assert row == {
        "naive": MS,
        "zoned": MS,
        "part": MS + 0.001,
        "object": MS,
        "day": day,
    }


def test_infinities_stay_and_only_pandas_nan_is_missing():
    assert rows(pd.DataFrame({"x": [np.inf, -np.inf, np.nan]})) == [
        {"x": np.inf},
        {"x": -np.inf},
        {},
    ]
    (row,) = rows(pl.DataFrame({"x": [float("nan")]}))
    assert row["x"] != row["x"]


def test_nested_cells_are_documents_fields():
    frame = pd.DataFrame({"o": [[1, {"a": Int64(5)}], "text"], "b": [b"\0", b"\1"]})
    assert rows(frame) == [
        {"o": [1, {"a": Int64(5)}], "b": b"\0"},
        {"o": "text", "b": b"\1"},
    ]


def test_polars_and_arrow_read_alike():
    data = {"s": ["a", None], "i": [1, None], "t": [MOMENT, None], "l": [[1, 2], None]}
    expected = [{"s": "a", "i": 1, "t": MS, "l": [1, 2]}, {}]
    assert rows(pl.DataFrame(data)) == expected
    assert rows(pa.table(data)) == expected


def test_an_index_with_a_name_is_a_column():
    frame = pd.DataFrame({"x": [1]}, index=pd.Index(["k"], name="key"))
    assert rows(frame) == [{"key": "k", "x": 1}]
    assert rows(pd.DataFrame({"x": [1]}, index=["k"])) == [{"x": 1}]


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (pd.DataFrame({1: [1]}), "A column is named 1"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "several columns named 'a'"),
        (pd.DataFrame({"n": [2**60]}), "map(Int64)"),
        (pd.DataFrame({"d": [Decimal(1)]}), "Decimal"),
    ],
)
def test_what_no_document_holds_is_refused_by_name(frame, text):
    with pytest.raises(
        InvalidValue, match=text.replace("(", r"\(").replace(")", r"\)")
    ):
        rows(frame)


def test_frames_are_known_without_importing_their_libraries():
    assert is_frame(pd.DataFrame())
    assert is_frame(pl.DataFrame())
    assert is_frame(pa.table({}))
    assert not is_frame([{}])
    assert not is_frame(pd.Series([1]))


def test_a_time_without_a_zone_is_utc():
    assert to_ms(MOMENT.replace(tzinfo=None)) == to_ms(MOMENT) == MS


def test_lines_are_one_document_each():
    lines = Frame(pd.DataFrame({"s": ["a\nb", "c"]})).lines(0, 2)
    assert [msgspec.json.decode(line) for line in lines.splitlines()] == [
        {"s": "a\nb"},
        {"s": "c"},
    ]
