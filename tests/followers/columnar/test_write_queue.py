"""Commits reach the mirror's file late, together, and all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.followers.columnar.looks import (
    documents,
    hurrying,
    insert,
    left_by_a_kill,
    rows,
)

from convexlab import knobs
from convexlab.errors import OutOfRetention
from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.columnar.tables import MirrorTable
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence


def test_many_commits_are_written_unasked(
    steps: Any, following: Following, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "MIRROR_PENDING_DOCUMENTS", 2)
    steps(insert({"n": 0}))
    following.advance()
    for count, is_written in ((1, False), (2, False), (3, True)):
        steps(insert({"n": count}))
        following.advance()
        written(mirror)
        assert (mirror._file.watermark == mirror.watermark) is is_written


def written(mirror: Mirror) -> None:
    """Wait for what is being written aside."""
    mirror._queue._settle_writing(0)


def test_far_behind_what_is_only_inserted_is_one_transaction(  # noqa: PLR0917
    steps: Any,
    persistence: Persistence,
    following: Following,
    mirror: Mirror,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    hurrying(monkeypatch)
    (first,) = steps(insert({"n": 0}))
    following.advance()
    began = mirror.watermark
    for n in (1, 2):
        steps(insert({"n": n}, {"n": n}))
        following.advance()
        written(mirror)
        assert mirror._file.is_open
    again = Mirror(left_by_a_kill(path))
    assert again.watermark == began
    Following(persistence, again).advance()
    assert rows(again, "n") == rows(mirror, "n") == [(0,), (1,), (1,), (2,), (2,)]
    again.close()
    assert not mirror._file.is_open  # who reads sees all of it
    steps(insert({"n": 3}, {"n": 3}))
    following.advance()
    steps(lambda tx: tx.patch(first, {"n": 9}))
    following.advance()
    mirror.checkpoint()
    assert rows(mirror, "n")[0] == (9,)
    assert mirror.status()["documents"] == 7


def test_far_behind_it_goes_on_while_runs_wait_to_be_written(
    steps: Any, following: Following, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    """Also when what comes is of other columns than what waits."""
    hurrying(monkeypatch)
    (first,) = steps(insert({"n": 0}))
    following.advance()
    began = mirror.watermark
    with mirror._queue.holding():  # as long as DuckDB compresses
        for documents in ([{"n": 1}], [{"n": 2.5, "k": "x"}], [{"n": 3, "k": 1}]):
            steps(insert(*documents))
            steps(lambda tx: tx.patch(first, {"m": "y"}))
            following.advance()
        assert mirror._file.watermark == began
        assert mirror.status()["documents"] == 4
    assert rows(mirror, "n, k, m") == [
        (0.0, None, "y"),
        (1.0, None, None),
        (2.5, '"x"', None),
        (3.0, "1.0", None),
    ]
    assert mirror.status()["documents"] == 4


def test_large_documents_do_not_wait_for_others_to_be_written(
    steps: Any, following: Following, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "MIRROR_PENDING_BYTES", 1000)
    steps(insert({"text": ""}))
    following.advance()
    for size, is_written in ((500, False), (500, True)):
        steps(insert({"text": "x" * size}))
        following.advance()
        written(mirror)
        assert (mirror._file.watermark == mirror.watermark) is is_written


def test_a_mirror_that_could_not_write_is_begun_anew(
    steps: Any, following: Following, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    steps(insert({"n": 1}))
    following.advance()
    steps(insert({"n": 2}))
    following.advance()

    def fail(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(MirrorTable, "write", fail)
        with pytest.raises(OSError, match="no space"):
            rows(mirror, "n")
    with pytest.raises(OSError, match="no space"):  # what is in it may be half
        rows(mirror, "n")
    steps(insert({"n": 3}))
    with pytest.raises(OSError, match="no space"):
        following.advance()
    following.start_again()
    following.advance()
    assert rows(mirror, "n") == [(1.0,), (2.0,), (3.0,)]


def test_what_the_store_no_longer_keeps_is_forgotten(
    steps: Any,
    committer: Committer,
    following: Following,
    mirror: Mirror,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(knobs, "HISTORY_RETENTION_SECONDS", 0)
    monkeypatch.setattr(knobs, "MIRROR_TRIM_SECONDS", 0)
    (key,) = steps(insert({"n": 1}))
    following.advance()
    then = mirror.watermark
    for n in (2, 3):
        steps(lambda tx, n=n: tx.patch(key, {"n": n}))
        following.advance()
    with mirror.reading(mirror.watermark) as reading:
        past = reading.tables["t"].past
        kept = reading.connection.execute(f"SELECT count(*) FROM {past}").fetchall()
    assert kept == [(0,)]
    with pytest.raises(OutOfRetention):
        documents(mirror, at=then)
    assert [document["n"] for document in documents(mirror)] == [3]
