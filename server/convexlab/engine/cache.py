"""Revisions at hand: what the writer read or wrote lately, as texts with their keys.

The writer is the only one to change the store, so it may keep what it has seen:
each entry is the store's current revision unless an overlay says otherwise. The
oldest entries go first. Documents are kept as texts: decoded they take several
times the room, and decoding one takes a tenth of the time of fetching it.

Invariants
    H1  For a document that no overlay mentions, an entry is what the store has.
    H2  A mutation puts what it read while the flusher puts what became durable.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.engine.write_set import DocumentWrite, Revision

# What an entry takes beside its text: the revision, its id, its keys in the two
# indexes that every table has, its place here (measured: 0.7 KB).
ENTRY_BYTES: Final = 700


class RevisionCache:
    """Revisions by internal id.

    Two tables may have a document of the same internal id, if both were brought in;
    then one of them is kept.

    Args:
        capacity: at most so many bytes are taken up.
        largest: bodies over so many bytes are not kept.
    """

    __slots__ = ("_capacity", "_largest", "_making_room", "_revisions", "_taken")

    def __init__(self, capacity: int, *, largest: int) -> None:
        self._capacity = capacity
        self._largest = largest
        self._taken = 0
        # N.B. a dict walks over what was taken from its beginning.
        self._revisions: OrderedDict[bytes, Revision] = OrderedDict()
        self._making_room = threading.Lock()

    def get(self, table: int, internal_id: bytes) -> Revision | None:
        """A revision, if it is at hand."""
        found = self._revisions.get(internal_id)
        return found if found is not None and found.table == table else None

    def put(self, revision: Revision) -> None:
        """The store has this one."""
        with self._making_room:  # H2
            self._drop(revision.id)
            self._keep(revision)

    def update(self, writes: Iterable[DocumentWrite]) -> None:
        """The store has these now: H1."""
        with self._making_room:
            for write in writes:
                if write.old is None:
                    continue  # whether it will be asked for, nobody knows
                self._drop(write.id)
                if write.new is not None:
                    self._keep(write.new)

    def _keep(self, revision: Revision) -> None:
        size = len(revision.body)
        if size > self._largest:
            return
        revision.forget_document()
        self._revisions[revision.id] = revision
        self._taken += size + ENTRY_BYTES
        while self._taken > self._capacity:
            _, oldest = self._revisions.popitem(last=False)
            self._taken -= len(oldest.body) + ENTRY_BYTES

    def _drop(self, internal_id: bytes) -> None:
        dropped = self._revisions.pop(internal_id, None)
        if dropped is not None:
            self._taken -= len(dropped.body) + ENTRY_BYTES

    def __len__(self) -> int:
        return len(self._revisions)
