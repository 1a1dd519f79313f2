"""One index: slots come and go with texts, and equal ones are in the order of age."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from convexlab.documents.encoding import to_stored
from convexlab.documents.ids import encode_id
from convexlab.engine.write_set import Revision
from convexlab.errors import OutOfRetention
from convexlab.followers.text.gathering import Gathering, segments_in
from convexlab.followers.text.index import TextIndex
from convexlab.followers.text.postings import Postings
from convexlab.followers.text.request import Definition

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convexlab.followers.schema_indexes import Step

TABLE = 10_001
KEPT, CHANGED, GONE = (name.encode() * 16 for name in "kcg")


@pytest.fixture
def index() -> TextIndex:
    return TextIndex(Definition("body", ("owner",)), Postings(None, 1))


def step(id_: bytes, ts: int, body: Any = None, **fields: Any) -> Step:
    """What a document became; None: it went."""
    if body is None:
        return id_, ts, None
    document = {
        "_id": encode_id(TABLE, id_),
        "_creationTime": fields.pop("created", 1.0),
        "body": body,
        **fields,
    }
    return id_, ts, Revision(TABLE, id_, ts, to_stored(document))


def test_a_document_has_a_slot_while_it_has_words(index: TextIndex):
    index.apply([step(KEPT, 1, "a b"), step(CHANGED, 1, "!"), step(GONE, 1, 7)])
    assert index.live == 1
    index.apply([step(CHANGED, 2, "a"), step(KEPT, 2, "?"), step(GONE, 2)])
    assert list(index.versions.slot_of) == [CHANGED]
    index.check()


def test_what_leaves_words_and_filters_alone_changes_nothing(index: TextIndex):
    index.apply([step(KEPT, 1, "a b", owner="x", other=1)])
    before = (index.changes, index.changed_ts)
    index.apply([step(KEPT, 2, "A, b!", owner="x", other=2)])
    assert (index.changes, index.changed_ts) == before
    index.apply([step(KEPT, 3, "a b", owner="y")])
    assert (index.changes, index.changed_ts) == (before[0] + 1, 3)


def test_what_went_is_forgotten_with_the_moments_that_knew_it(index: TextIndex):
    index.apply([step(KEPT, 1, "a"), step(CHANGED, 1, "a b"), step(GONE, 1, "a c")])
    index.settle()
    index.apply([step(CHANGED, 5, "b"), step(GONE, 6)])
    assert index.gone == {"a": 2, "b": 1, "c": 1}
    index.check_at(4)
    index.trim(7)
    index.check()
    assert not index.gone
    with pytest.raises(OutOfRetention, match="no state as of"):
        index.check_at(4)
    index.check_at(6)


@pytest.mark.parametrize("count", [2, 3, 100])
def test_the_newest_come_first_and_of_one_moment_the_least_id(
    index: TextIndex, count: int
):
    moments = [number // 2 for number in range(count)]
    slots = [
        index.versions.begin(number.to_bytes(16, "big"), 1, 0, [b""], (float(moment),))
        for number, moment in enumerate(moments)
    ]
    expected = sorted(slots, key=lambda slot: (-moments[slot], slot))
    assert index.by_age(slots[::-1]) == index.by_age(slots) == expected
    apart = slots[::2]
    assert index.by_age(apart) == apart[::-1]


def scattered(folder: Path, parts: int = 3) -> TextIndex:
    """In as many segments; of each three texts one has changed and one is gone."""
    index = TextIndex(Definition("body", ("owner",)), Postings(folder, 1))
    for part in range(parts):
        ids = [bytes([part, n]) * 8 for n in range(3)]
        index.apply([step(id_, part + 1, f"a w{part}", owner=part) for id_ in ids])
        index.settle()
        index.apply([step(ids[1], part + 1, "b"), step(ids[2], part + 1)])
    return index


def segments(index: TextIndex) -> int:
    assert index.postings.folder is not None
    return len(segments_in(index.postings.folder))


def test_small_segments_become_one_with_all_that_was_in_them(tmp_path: Path):
    index = scattered(tmp_path)
    before = segments(index)
    index.gather(lambda: False)
    assert before > segments(index) == 1
    index.check()
    index.apply([step(KEPT, 9, "a")])
    index.settle()
    index.gather(lambda: False)
    assert segments(index) == 1
    index.check()


def test_texts_come_and_go_while_segments_are_gathered(tmp_path: Path):
    index = scattered(tmp_path, 5)  # so many that two more are left in the tail
    looked, go_on = threading.Event(), threading.Event()

    def is_to_end() -> bool:
        looked.set()
        assert go_on.wait(60)
        return False

    gathering = threading.Thread(target=index.gather, args=(is_to_end,))
    gathering.start()
    assert looked.wait(60)
    index.apply([step(KEPT, 9, "a"), step(bytes([0, 0]) * 8, 9, "b")])
    index.check()
    go_on.set()
    gathering.join()
    assert segments(index) == 1
    index.check()


def test_who_has_something_for_tantivy_ends_the_gathering(tmp_path: Path):
    index = scattered(tmp_path)
    begun = threading.Event()
    ended = []

    def work(is_to_end: Callable[[], bool]) -> None:
        begun.set()
        while not is_to_end():
            pass
        index.gather(is_to_end)
        ended.append(segments(index))

    index.gathering = Gathering(work)
    for change in (
        lambda: index.apply([step(n.to_bytes(16), 9, "a") for n in range(1_100)]),
        lambda: index.trim(9),
        index.close,
    ):
        begun.clear()
        index.gathering.begin()
        assert begun.wait(60)
        change()
        assert min(ended) > 1
        ended.clear()


def test_nothing_is_gathered_while_somebody_waits(tmp_path: Path):
    index = scattered(tmp_path)
    before = segments(index)
    index.gather(lambda: True)
    index.settle()
    assert segments(index) >= before
    index.check()


def test_what_fails_as_it_is_gathered_leaves_all_as_it_was(tmp_path: Path):
    index = scattered(tmp_path)
    before = segments(index)

    def fails() -> bool:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        index.gather(fails)
    index.settle()
    assert segments(index) >= before
    index.check()


def test_what_is_in_memory_stays_as_it_is(index: TextIndex):
    index.apply([step(KEPT, 1, "a")])
    index.gather(lambda: False)
    index.check()
