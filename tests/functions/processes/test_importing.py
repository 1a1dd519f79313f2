"""An import's batches: whole or not at all, with the line that is to blame."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from convexlab import define_schema, define_table, v
from convexlab.documents.value import Int64
from convexlab.engine import definitions
from convexlab.engine.backfill import work_all
from convexlab.engine.committer import Committer
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.errors import InvalidArguments, InvalidValue, SchemaViolation
from convexlab.functions.processes.importing import Importing
from convexlab.functions.processes.messages import Import

if TYPE_CHECKING:
    from typing import Any

_numbers = itertools.count()


@pytest.fixture
def committer() -> Committer:
    made = Committer(MemoryPersistence())
    tx = made.begin(system=True)
    schema = define_schema({"flights": define_table({"n": v.any()})})
    definitions.declare_schema(tx, schema)
    definitions.create_index(tx, "flights", "by_n", ["n"])
    definitions.activate_schema(tx)
    made.accept(tx.finish())
    made.settle_all()
    return made


def load(committer: Committer, *lines: str, mode: str = "append") -> bytes:
    call_id = f"g{next(_numbers)}"
    batch = [line.encode() for line in lines]
    answer = Importing(committer).insert(Import(1, call_id, "flights", batch, 1, mode))
    committer.settle_all()
    return answer


def stored(committer: Committer) -> list[Any]:
    tx = committer.begin()
    by_n = committer.catalog.tables["flights"].index("by_n")
    return [row["n"] for _, row in tx.range(by_n, EVERYTHING)]


def test_numbers_come_in_as_they_are_written(committer: Committer) -> None:
    said = load(
        committer, '{"n": 1}', '{"n": 1.5}', '{"n": {"$integer": "CgAAAAAAAAA="}}'
    )
    assert said == b'{"numWritten":3}'
    assert stored(committer) == [Int64(10), 1, 1.5]


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ('{"n": ', InvalidValue, "line 2 is not JSON"),
        ("[1]", InvalidValue, "line 2: an object was expected"),
        ('{"m": 1}', SchemaViolation, "line 2: "),
        ('{"n": 1, "_id": "x"}', InvalidValue, "line 2: "),
    ],
)
def test_one_bad_line_refuses_its_batch(
    committer: Committer, line: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        load(committer, '{"n": 1}', line)
    assert stored(committer) == []


def test_a_table_with_documents_wants_to_be_told(committer: Committer) -> None:
    load(committer, '{"n": 1}', mode="requireEmpty")
    with pytest.raises(InvalidArguments, match="already exists"):
        load(committer, '{"n": 2}', mode="requireEmpty")


def test_replacing_swaps_the_table_and_keeps_its_indexes(committer: Committer) -> None:
    load(committer, '{"n": 1}', '{"n": 2}')
    old = committer.catalog.tables["flights"].number
    load(committer, '{"n": 3}', mode="replace")
    assert stored(committer) == [3]
    work_all(committer)
    assert committer.catalog.by_number[old].state == "deleted"
    assert stored(committer) == [3]


def test_a_bad_line_leaves_what_it_was_to_replace(committer: Committer) -> None:
    load(committer, '{"n": 1}')
    with pytest.raises(InvalidValue, match="line 1"):
        load(committer, "{", mode="replace")
    assert stored(committer) == [1]


def test_a_batch_asked_for_again_is_answered_from_its_record(
    committer: Committer,
) -> None:
    batch = Import(1, "g-again", "flights", [b'{"n": 1}'], 1, "append")
    heard_of = committer.ts
    first = Importing(committer).insert(batch)
    committer.settle_all()
    next_one = Committer(committer.persistence)
    next_one.recover(heard_of)
    assert Importing(next_one).insert(batch) == first
    assert stored(next_one) == [1]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"n": 1, "$x": 1}', "line 1: "),
        ('{"n": 1, "\\u00e9": 1}', "line 1: "),
        ('{"n": 9007199254740993}', "Int64"),
        ('{"n": {"a": {"$b": 1}}}', "line 1: "),
    ],
)
def test_what_is_no_document_is_refused_however_it_is_read(
    line: str, words: str
) -> None:
    """Without a schema that would refuse it anyway."""
    free = Committer(MemoryPersistence())
    with pytest.raises(InvalidValue, match=words):
        load(free, line)


def test_rows_come_in_the_same_whether_they_are_plain_or_not() -> None:
    free = Committer(MemoryPersistence())
    load(free, '{"n": 1, "s": "x", "f": 1.5, "b": true, "z": null}')
    load(free, '{"n": 1, "s": "x", "f": 1.5, "b": true, "z": null, "l": [1]}')
    tx = free.begin()
    table = free.catalog.tables["flights"]
    one, other = [row for _, row in tx.range(table.by_creation_time, EVERYTHING)]
    for name in ("n", "s", "f", "b", "z"):
        assert one[name] == other[name]
        assert type(one[name]) is type(other[name])
