"""Gathering: small segments of Tantivy's become one while nothing else is to be done.

Each segment costs a search some 15 µs, and three times as much where its last word may
become many. Tantivy merges eight of about one size, so an index that is followed has up
to sixteen; and it cannot be told to merge. But texts that are given anew leave the
segments that they were in, and a segment that has none left goes.

That takes seconds, on a thread of its own: who writes a text does not wait for it, as
texts stay in the tail at first. It is given up when Tantivy is wanted for more of them.
"""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_LEAST: Final = 2
# One that is so many times as large as all that are smaller is left as it is: texts are
# written anew once for each such step of the index's growth.
_STEP: Final = 16


class Segment(NamedTuple):
    """One of a searcher's segments.

    Attributes:
        texts: how many there are or were in it.
        bytes: what they take, as they are stored.
    """

    texts: int
    bytes: int


class _Segment(msgspec.Struct):
    segment_id: str
    max_doc: int


class _Meta(msgspec.Struct):
    segments: list[_Segment]
    opstamp: int


def segments_in(folder: Path) -> dict[str, Segment]:
    """The segments of Tantivy's last commit by their names, in its order.

    Raises:
        FileNotFoundError: a merge ends just now.
    """
    meta = _meta(folder)
    names = [(each.segment_id.replace("-", ""), each.max_doc) for each in meta.segments]
    return {
        name: Segment(texts, (folder / f"{name}.store").stat().st_size)
        for name, texts in names
    }


def commit_in(folder: Path) -> int:
    """The number of Tantivy's last commit; merges leave it."""
    return _meta(folder).opstamp


def _meta(folder: Path) -> _Meta:
    return msgspec.json.decode((folder / "meta.json").read_bytes(), type=_Meta)


def to_gather(segments: Sequence[Segment]) -> list[int]:
    """The numbers of segments that are to become one; none: it would not pay."""
    by_size = sorted(range(len(segments)), key=lambda number: segments[number].bytes)
    found: list[int] = []
    total = 0
    for number in by_size:
        size = segments[number].bytes
        if total + size > knobs.TEXT_GATHERED_BYTES or (
            len(found) > 1 and size > _STEP * total
        ):
            break
        found.append(number)
        total += size
    return found if len(found) >= _LEAST else []


class Gathering:
    """The thread that gathers, while it does.

    Args:
        work: gathers; it is given what tells whether it is to end.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], None]) -> None:
        self._work = work
        self._thread: threading.Thread | None = None
        self._is_to_end = threading.Event()

    def begin(self) -> None:
        """Have segments gathered, if nobody does yet."""
        if self._thread is None or not self._thread.is_alive():
            self._is_to_end.clear()
            self._thread = threading.Thread(
                target=self._run, name="gathering", daemon=True
            )
            self._thread.start()

    def end(self) -> None:
        """Have it given up, and return when nobody gathers."""
        self._is_to_end.set()
        self.wait()

    def wait(self) -> None:
        """Return when nobody gathers."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            self._work(self._is_to_end.is_set)
        except Exception:  # noqa: BLE001 - a full disk, say: the segments stay as they were
            traceback.print_exc()
