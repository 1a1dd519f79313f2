"""A statement's rows: the first are here, the others somewhere, the page has its own way."""

# ruff: noqa: TID253 - the test is about these libraries

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from convexlab import knobs
from convexlab.errors import InvalidQuery
from convexlab_kernel.sql_rows import SqlRows, with_times

AS_OF = 1_357_017_300_000.0


class Page:
    """The rows on the page."""

    def __init__(self, count):
        self._count = count

    def count(self):
        if isinstance(self._count, Exception):
            raise self._count
        return self._count

    def bundle(self):
        return {"on/page": {}}, {}


def stream(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def numbers(count):
    return stream(pa.table({"n": list(range(count))}))


def long_answer(count):
    fetched = []

    def all_of_them():
        fetched.append(True)
        return numbers(5_000)

    first = numbers(knobs.SQL_FIRST_ROWS + 1)
    rows = SqlRows(first, all_of_them=all_of_them, page=Page(count), as_of=AS_OF)
    return rows, fetched


def test_what_is_shown_fetches_nothing():
    rows, fetched = long_answer(5_000)
    data, _ = rows._repr_mimebundle_()
    assert set(data) == {"on/page", "text/html", "text/plain"}
    assert "showing 20 of 5,000 rows · as of 2013-01-01" in data["text/html"]
    assert rows
    assert not fetched
    assert sum(row["n"] for row in rows) == sum(range(5_000))
    assert (len(rows), rows.polars().height, len(fetched)) == (5_000, 5_000, 1)


def test_a_page_that_cannot_read_them_is_not_asked_to():
    """The notebook has the first ones, and why there are no more."""
    rows, fetched = long_answer(InvalidQuery("SQL: the answer is too large"))
    data, _ = rows._repr_mimebundle_()
    assert set(data) == {"text/html", "text/plain"}
    note = "20 rows · as of 2013-01-01 05:15:00.000Z · these are the first; SQL: the answer is too large"
    assert note in data["text/html"]
    assert not fetched


@pytest.mark.parametrize(
    ("table", "is_read"),
    [
        (pa.table({"n": range(20)}), False),
        (pa.table({"n": range(21)}), True),
        (pa.table({f"c{n}": [n] for n in range(31)}), True),
        (pa.table({"n": pa.array([], pa.int64())}), False),
    ],
)
def test_the_page_reads_what_the_notebook_does_not_keep(table, is_read):
    rows = SqlRows(stream(table), all_of_them=None, page=Page(AssertionError()))
    assert ("on/page" in rows._repr_mimebundle_()[0]) == is_read
    assert bool(rows) == (table.num_rows > 0)


def test_creation_times_are_times():
    table = with_times(pa.table({"_creationTime": [1_357_017_300_000.25]}))
    assert str(table["_creationTime"][0]) == "2013-01-01 05:15:00.000250+00:00"


def test_what_else_is_called_so_is_as_it_is():
    for times in (["2013"], pa.array([0], pa.timestamp("us")), pa.nulls(1)):
        table = pa.table({"_creationTime": times})
        assert with_times(table) == table


def test_values_of_several_kinds_are_values_in_rows_and_frames():
    """Also inside of lists and structs; a frame without rows has the same types."""
    json = {b"convexlab": b"json"}
    alone = pa.field("alone", pa.string(), metadata=json)
    items = pa.field("items", pa.list_(pa.field("l", pa.string(), metadata=json)))
    inner = pa.field("of", pa.string(), metadata=json)
    parts = pa.field("parts", pa.struct([inner, pa.field("n", pa.int64())]))
    texts = [
        {"alone": '"5"', "items": ["5", None, "1.5"], "parts": {"of": "true", "n": 1}},
        {"alone": '{"$bytes":"AA=="}', "items": None, "parts": None},
    ]
    values = [
        {"alone": "5", "items": [5, None, 1.5], "parts": {"of": True, "n": 1}},
        {"alone": b"\0", "items": None, "parts": None},
    ]
    table = pa.Table.from_pylist(texts, schema=pa.schema([alone, items, parts]))
    rows = SqlRows(stream(table))
    assert list(rows) == values
    assert rows.df().to_dict("records") == values
    empty = SqlRows(stream(table.slice(2))).df()
    assert [str(of) for of in empty.dtypes] == ["object"] * 3


def test_numbers_go_with_other_numbers():
    """Decimals are floats, whole ones with gaps stay exact; Arrow has what there is."""
    price = pa.array([Decimal("1.50"), None], pa.decimal128(4, 2))
    rows = SqlRows(stream(pa.table({"price": price, "id": [2**60 + 1, None]})))
    assert list(rows) == [{"price": 1.5, "id": 2**60 + 1}, {"price": None, "id": None}]
    frame = rows.df()
    assert [str(of) for of in frame.dtypes] == ["float64", "Int64"]
    assert frame["id"][0] == 2**60 + 1
    assert rows.arrow()["price"].type == pa.decimal128(4, 2)
    few = SqlRows(stream(pa.table({"n": [1, None]}))).df()
    assert str(few["n"].dtype) == "float64"
