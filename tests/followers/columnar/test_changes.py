"""What became of a table between two moments: as two readings of all of it differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convexlab.documents.encoding import from_stored
from convexlab.errors import NotFound, OutOfRetention
from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.columnar.sql import answer_of
from convexlab.followers.columnar.windows import WindowRequest, Windows
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.persistence.contract import Persistence


class Changes:
    """The mirror of a store, asked what has changed."""

    def __init__(self, persistence: Persistence) -> None:
        self.mirror = Mirror(None, {"window": Windows().answer})
        self.following = Following(persistence, self.mirror)

    @property
    def now(self) -> Any:
        self.following.advance()
        return self.mirror.watermark

    def __call__(self, since: int, at: Any = None, table: str = "notes") -> list[Any]:
        """What became of which number, the newest change first."""
        at = at or self.now
        request = WindowRequest("from rows", table, since=int(since))
        body = b"window\n" + msgspec.msgpack.encode(request)
        rows: Any = from_stored(answer_of(self.mirror.answer(body, at)).rows)
        return [
            (row["change"], number(row["before"]), number(row["after"])) for row in rows
        ]

    def texts(self, since: int) -> list[Any]:
        """The documents before and after, as they are said."""
        at = self.now
        request = WindowRequest("select before, after from rows", "notes", since=since)
        body = b"window\n" + msgspec.msgpack.encode(request)
        rows: Any = from_stored(answer_of(self.mirror.answer(body, at)).rows)
        return [[row["before"], row["after"]] for row in rows]


def number(text: str | None) -> int | None:
    return None if text is None else json.loads(text)["n"]


@pytest.fixture
def changes(persistence: Persistence, steps: Any) -> Iterator[Changes]:
    steps(lambda tx: tx.insert_many("notes", [{"n": n} for n in range(100)]))
    changes = Changes(persistence)
    yield changes
    changes.mirror.close()


def test_added_removed_and_changed_between_two_moments(changes: Changes, steps: Any):
    """Also between two of the past; what is as it was, and what only passed, is not there."""
    ids: list[str] = []
    steps(
        lambda tx: ids.extend(tx.insert_many("notes", [{"n": -n} for n in range(1, 5)]))
    )
    before = changes.now
    steps(lambda tx: tx.delete(ids[0]))
    steps(lambda tx: tx.replace(ids[1], {"n": 1000}))
    middle = changes.now
    steps(lambda tx: ids.append(tx.insert("notes", {"n": 5})))
    steps(lambda tx: tx.replace(ids[2], {"n": 0}))
    steps(lambda tx: tx.replace(ids[2], {"n": -3}))  # as it was
    steps(lambda tx: tx.delete(ids[4]))  # only passed
    steps(lambda tx: tx.insert("notes", {"n": 6}))
    assert changes(before) == [
        ("added", None, 6),
        ("changed", -2, 1000),
        ("removed", -1, None),
    ]
    assert changes(before, at=middle) == [
        ("changed", -2, 1000),
        ("removed", -1, None),
    ]
    assert changes(middle) == [("added", None, 6)]
    assert changes(changes.now) == []


def test_documents_are_said_in_stored_text(changes: Changes, steps: Any):
    """Not in the mirror's own, in which lists of floats are packed."""
    vectors = [[n / 7 + m for n in range(70)] for m in range(2)]
    id_ = steps(lambda tx: tx.insert("notes", {"n": 0, "e": vectors[0]}))
    since = changes.now
    steps(lambda tx: tx.patch(id_, {"e": vectors[1]}))
    ((before, after),) = changes.texts(since)
    assert [json.loads(before)["e"], json.loads(after)["e"]] == vectors


def test_what_the_mirror_does_not_know_is_said(changes: Changes, steps: Any):
    steps(lambda tx: tx.insert("notes", {"n": 1}))
    assert changes.now
    with pytest.raises(OutOfRetention, match="the oldest that it has"):
        changes(1)
    with pytest.raises(NotFound, match="no table `nothing`"):
        changes(1, table="nothing")
