"""A look: one interval of a read set, as it goes from process to process.

It is apart from the read set, which may be compiled: of a compiled named tuple's types
nothing is left by which msgspec could read it back.
"""

from __future__ import annotations

from typing import NamedTuple


class Read(NamedTuple):
    """An interval of index keys that was looked at: from `start` up to before `end`.

    With a `where` (an expression's bytes), only documents that pass it count.
    """

    index_id: int
    start: bytes
    end: bytes | None
    where: bytes | None = None
