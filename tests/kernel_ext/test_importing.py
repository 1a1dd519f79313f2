"""Rows in, batches of JSON lines out."""

from __future__ import annotations

import dataclasses
import math
import threading

import pytest

from convexlab import knobs
from convexlab.documents.encoding import from_stored
from convexlab.errors import InvalidValue, SchemaViolation
from convexlab_kernel import importing


def lines(batches):
    return [from_stored(line) for batch in batches for line in batch.lines.splitlines()]


def test_dicts_and_iterables_of_them_are_rows():
    @dataclasses.dataclass
    class Task:
        text: str

    assert lines(importing.batches_of({"a": 1})[1]) == [{"a": 1}]
    size, batches = importing.batches_of(iter([{"a": (1, 2)}, Task("hi")]))
    assert size is None
    assert lines(batches) == [{"a": [1, 2]}, {"text": "hi"}]
    assert importing.batches_of([{"a": 1}])[0] == 1


def test_what_json_has_no_number_for_survives():
    (row,) = lines(importing.batches_of([{"x": math.inf}])[1])
    assert row == {"x": math.inf}


@pytest.mark.parametrize("data", ["text", 5, b"x"])
def test_what_is_no_row_is_refused(data):
    with pytest.raises(InvalidValue, match="cannot be inserted"):
        importing.batches_of(data)


def test_a_bad_row_is_named_by_its_number():
    with pytest.raises(InvalidValue, match=r"`row 2\.b`"):
        list(importing.batches_of([{"a": 1}, {"b": {1, 2}}])[1])
    with pytest.raises(InvalidValue, match="Row 2 is an int"):
        list(importing.batches_of([{"a": 1}, 5])[1])


def test_batches_are_bounded_in_rows_and_bytes():
    rows = [{"n": i} for i in range(knobs.IMPORT_BATCH_LINES * 2 + 1)]
    assert [b.rows for b in importing.batches_of(rows)[1]] == [
        knobs.IMPORT_BATCH_LINES,
        knobs.IMPORT_BATCH_LINES,
        1,
    ]
    big = [{"s": "x" * (knobs.IMPORT_BATCH_BYTES // 2)} for _ in range(5)]
    assert max(b.rows for b in importing.batches_of(big)[1]) <= 2


def test_the_cells_of_a_csv_are_what_their_columns_are(tmp_path):
    file = tmp_path / "d.csv"
    file.write_text("\ufeff a ,b\n1,x\n,1_0\n1e3,nan\n")
    got = lines(importing.file_batches(file))
    assert got == [{"a": 1.0, "b": "x"}, {"b": "1_0"}, {"a": 1000.0, "b": "nan"}]


def test_json_lines_and_arrays_are_read(tmp_path):
    array, several = tmp_path / "d.json", tmp_path / "d.jsonl"
    array.write_text('[\n  {"a": 1,\n   "b": "x\\ny"},\n  {"a": 2.0}\n]')
    several.write_text('{"a": 1}\n{"a": 2.0}\n')
    assert lines(importing.file_batches(array)) == [{"a": 1, "b": "x\ny"}, {"a": 2.0}]
    assert lines(importing.file_batches(several)) == [{"a": 1}, {"a": 2.0}]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("d.csv", "a,b\n1\n", "line 2: 1 cells under 2 columns"),
        ("d.csv", "", "line 1 must name every column"),
        ("d.jsonl", '{"a":1}\n\n', "line 2: blank"),
        ("d.json", '{"a":1}', "is not a JSON array"),
        ("d.xml", "", "its kind is not known"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, name, content, text):
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises(InvalidValue, match=text):
        list(importing.file_batches(file))


class Slow:
    """An attachment that answers the first batch once the second is refused."""

    def __init__(self):
        self.refused = threading.Event()

    def need_admin(self, what):
        pass

    def post(self, path, body, *, kind, sending):
        if body.count(b"\n") == 3:
            assert self.refused.wait(60)
            return b'{"numWritten": 3}'
        self.refused.set()
        raise SchemaViolation("line 1: no")


def test_what_was_written_beside_a_refused_batch_is_counted(monkeypatch):
    monkeypatch.setattr(knobs, "IMPORT_BATCH_LINES", 3)
    rows = [{"n": float(n)} for n in range(4)]
    with pytest.raises(SchemaViolation, match=r"^Row 4: no") as refused:
        importing.insert(Slow(), "t", importing.batches_of(rows)[1])
    assert refused.value.__notes__ == ["3 documents were already written to `t`."]
