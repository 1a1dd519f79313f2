"""Revisions at hand: what the writer read or wrote lately, decoded.

The writer is the only one to change the store, so it may keep what it has seen:
each entry is the store's current revision unless an overlay says otherwise. The
oldest entries go first.

Invariants
    H1  For a document that no overlay mentions, an entry is what the store has.
    H2  A mutation puts what it read while the flusher puts what became durable.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.engine.write_set import DocumentWrite, Revision


class RevisionCache:
    """Revisions by table and internal id.

    Args:
        capacity: at most so many documents.
        largest: bodies over so many bytes are not kept.
    """

    __slots__ = ("_capacity", "_largest", "_making_room", "_revisions")

    def __init__(self, capacity: int, *, largest: int) -> None:
        self._capacity = capacity
        self._largest = largest
        # N.B. a dict walks over what was taken from its beginning.
        self._revisions: OrderedDict[tuple[int, bytes], Revision] = OrderedDict()
        self._making_room = threading.Lock()

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        """A revision, if it is at hand."""
        return self._revisions.get((table, internal_id))

    def put(self, revision: Revision) -> None:
        """The store has this one."""
        if len(revision.body) > self._largest:
            return
        revisions = self._revisions
        with self._making_room:  # H2
            if len(revisions) >= self._capacity:
                revisions.popitem(last=False)
            revisions[revision.table, revision.id] = revision

    def update(self, writes: Iterable[DocumentWrite]) -> None:
        """The store has these now: H1."""
        revisions = self._revisions
        for write in writes:
            document = (write.table, write.id)
            if write.old is None:
                continue  # whether it will be asked for, nobody knows
            with self._making_room:
                revisions.pop(document, None)
            if write.new is not None:
                self.put(write.new)

    def __len__(self) -> int:
        return len(self._revisions)
