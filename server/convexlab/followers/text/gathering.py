"""Gathering: small segments of Tantivy's become one while nothing else is to be done.

Each segment costs a search some 15 µs, and three times as much where its last word may
become many. Tantivy merges eight of about one size, so an index that is followed has up
to sixteen; and it cannot be told to merge. But texts that are given anew leave the
segments that they were in, and a segment that has none left goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Fewer are not worth their writing; Tantivy merges eight by itself.
_LEAST: Final = 4
# One that is so many times as large as all that are smaller is left as it is: texts are
# written anew once for each such step of the index's growth.
_STEP: Final = 8


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


def segments_in(folder: Path) -> dict[str, Segment]:
    """The segments of Tantivy's last commit by their names, in its order.

    Raises:
        FileNotFoundError: a merge ends just now.
    """
    meta = msgspec.json.decode((folder / "meta.json").read_bytes(), type=_Meta)
    names = [(each.segment_id.replace("-", ""), each.max_doc) for each in meta.segments]
    return {
        name: Segment(texts, (folder / f"{name}.store").stat().st_size)
        for name, texts in names
    }


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
