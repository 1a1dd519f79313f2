"""One vector index: the lists, whose vectors they are, and what was there lately.

A change ends a document's slot and gives it another; the ended ones stay in the lists
for a while, so that an answer as of a moment a little ago is exact, and a selector
leaves them out of all others. When the lists no longer suit the number of vectors, new
ones are cut beside them, and take their place once they have caught up.

Invariants
    N1  As of a moment from `exact_from` on, the slots that held then are those of the
        documents of then.
    N2  The lists hold the vectors of exactly the slots that are in use.
"""

from __future__ import annotations

from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from convexlab import knobs
from convexlab.documents.bodies import listed, with_packed
from convexlab.documents.document import get_path
from convexlab.documents.ordering import encode_key
from convexlab.documents.packed import Numbers
from convexlab.engine.timestamp import in_words
from convexlab.errors import OutOfRetention
from convexlab.followers.rested import Rested
from convexlab.followers.shared_lock import SharedLock
from convexlab.followers.vector.answers import in_order
from convexlab.followers.vector.building import build, is_due
from convexlab.followers.vector.lists import Lists
from convexlab.followers.vector.selecting import Selections
from convexlab.followers.vector.units import unit_vector
from convexlab.followers.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from convexlab.engine.write_set import Revision
    from convexlab.followers.files import SavedFile
    from convexlab.followers.schema_indexes import Step
    from convexlab.followers.vector.lists import Vectors
    from convexlab.followers.vector.request import Definition
    from convexlab.followers.vector.selecting import Filters, Selection
    from convexlab.followers.versions import Slots


# Vectors that new lists take in at a time when they catch up.
_SLICE: Final = 20_000


class Saved(NamedTuple):
    """The files of one index."""

    lists: SavedFile
    columns: SavedFile

    @property
    def bytes(self) -> int:
        """What they take."""
        return self.lists.size + self.columns.size


class VectorIndex:
    """See the module.

    Attributes:
        definition: what it is made of.
        changed_ts: the newest commit that changed what it holds.
        exact_from: states before this timestamp are not in it.
        changes: how many slots have come and gone.
        saved: the files that have it as it is. *Set by* `resting`; *cleared by* whatever
            changes what it holds, or in which order its lists have that.
        asked: how many searches there were since.
        changed_at: when that was, on the monotonic clock.
    """

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.versions = Versions(len(definition.filter_fields))
        self.lists = Lists.exact(definition.dimensions)
        self.selections = Selections()
        self.built_with = 0
        self.changed_ts = 0
        self.exact_from = 0
        self.changes = 0
        self.saved: Saved | None = None
        self.asked = 0
        self.changed_at = 0.0
        self.is_building = False
        self.lock = SharedLock()
        # What came (a vector) and went (None) while new lists are cut.
        self._meanwhile: dict[int, NDArray[np.float32] | None] = {}

    @property
    def live(self) -> int:
        """How many documents have a vector in it."""
        return self.versions.live

    # -- changes --------------------------------------------------------------------

    def apply(self, steps: Iterable[Step]) -> None:
        """Take in what documents became, in order."""
        with self.lock.writing():
            slots: list[int] = []
            vectors: list[NDArray[np.float32]] = []
            for id_, ts, revision in steps:
                vector = self._step(id_, ts, revision)
                if vector is not None:
                    slots.append(self.versions.slot_of[id_])
                    vectors.append(vector)
            if slots:
                self._add(np.array(slots, np.int64), np.stack(vectors))

    def _step(
        self, id_: bytes, ts: int, revision: Revision | None
    ) -> NDArray[np.float32] | None:
        """One document's; the vector of its new slot, if it has one."""
        versions, definition = self.versions, self.definition
        vector, keys = None, []
        if revision is not None:
            # N.B. as Python's floats they would take three times as long.
            document = with_packed(revision.body)
            value = get_path(document, definition.field)
            vector = unit_vector(value, definition.dimensions)
            keys = [
                encode_key(_plain(get_path(document, f)))
                for f in definition.filter_fields
            ]
        slot = versions.slot_of.get(id_)
        if vector is None and slot is None:
            return None
        digest = 0 if vector is None else _digest(vector)
        if slot is not None:
            if vector is not None and versions.is_same(slot, digest, keys):
                return None
            versions.end(id_, ts)
            self.selections.journal.note(slot, ts, begins=False)
        self.changed_ts = max(self.changed_ts, ts)  # N.B. `take` goes by id
        self.changes += 1
        self._is_other()
        if vector is not None:
            slot = versions.begin(id_, ts, digest, keys)
            self.selections.journal.note(slot, ts, begins=True)
        return vector

    def _is_other(self) -> None:
        """Than its files have, if it has any."""
        self.saved, self.asked = None, 0
        self.changed_at = monotonic()

    def _add(self, slots: Slots, vectors: Vectors) -> None:
        self.lists.add(slots, vectors)
        if self.is_building:
            self._meanwhile.update(zip(slots.tolist(), vectors, strict=True))

    def trim(self, before: int) -> None:
        """Forget what ended before a timestamp, when it has become worth the while.

        More than there are documents is not kept, however lately it ended.
        """
        versions = self.versions
        if versions.dead <= knobs.VECTOR_PAST_ROWS + versions.live // 8:
            return
        ended = versions.ended_by(before)
        excess = versions.dead - max(knobs.VECTOR_PAST_ROWS, versions.live)
        if excess > len(ended):
            ended = versions.ended_by(self.changed_ts)[:excess]
        if len(ended):
            with self.lock.writing():
                self._release(ended)

    def _release(self, slots: Slots) -> None:
        self.exact_from = max(self.exact_from, self.versions.last_end(slots))
        self.lists.remove(slots)
        self.versions.release(slots)
        self.selections.forget()
        self._is_other()
        if self.is_building:
            self._meanwhile.update(dict.fromkeys(slots.tolist()))

    # -- searches -------------------------------------------------------------------

    def nearest(
        self,
        vector: NDArray[np.float32],
        limit: int,
        filters: Filters,
        at: int,
    ) -> tuple[list[bytes], NDArray[np.float32]]:
        """The documents nearest to a unit vector, nearest first, and their cosines.

        Raises:
            OutOfRetention: what was there then has been forgotten.
        """
        (found,) = self.nearest_to_each(vector[None], limit, filters, at)
        return found

    def nearest_to_each(
        self, vectors: Vectors, limit: int, filters: Filters, at: int
    ) -> list[tuple[list[bytes], NDArray[np.float32]]]:
        """As `nearest`, to each of several vectors; as many to each.

        N.B. to look for them at once is to let go of the interpreter once.
        """
        with self.lock.reading():
            selection = self._selected(filters, at)
            if filters is None or selection is None:
                found = self.lists.nearest_to_each(vectors, limit, selection)
            else:
                found = [
                    self.lists.nearest_of(vector, limit, selection)
                    for vector in vectors
                ]
            return [
                in_order(self.versions.ids(slots), scores) for slots, scores in found
            ]

    def _selected(self, filters: Filters, at: int) -> Selection | None:
        """The slots to look among; None: all that are in the lists."""
        if at >= self.changed_ts:
            if filters is None and not self.versions.dead:
                return None
            return self.selections.now(filters, self.versions, self.lists)
        if at < self.exact_from:  # N1
            raise OutOfRetention(
                f"The vector index has no state as of {in_words(at)}; "
                f"the oldest that it has is of {in_words(self.exact_from)}."
            )
        return self.selections.as_of(filters, at, self.versions, self.lists)

    # -- new lists ------------------------------------------------------------------

    @property
    def wants_building(self) -> bool:
        """Whether the lists no longer suit the number of vectors."""
        return not self.is_building and is_due(self.lists.size, self.built_with)

    def begin_building(self) -> tuple[Slots, Vectors]:
        """What new lists are to be cut for; from now on changes are noted.

        N.B. called by the thread that changes the index: nothing comes in between.
        """
        self.is_building = True
        with self.lock.reading():
            return self.lists.all()

    def build(self, slots: Slots, vectors: Vectors) -> None:
        """Cut lists, which takes its time, and put them in the place of the old."""
        try:
            made = build(slots, vectors, self.definition.quantization)
            with self.lock.writing():
                self._catch_up(made)
                self.lists = made
                self.selections.forget()
                self._is_other()
                self.built_with = len(slots) if made.count > 1 else 0
                self.changes += len(slots)  # its files are worth writing anew
        finally:
            self.is_building = False
            self._meanwhile = {}

    def _catch_up(self, made: Lists) -> None:
        """N2."""
        came = [(s, v) for s, v in self._meanwhile.items() if v is not None]
        made.remove(np.array([*self._meanwhile], np.int64))
        for start in range(0, len(came), _SLICE):
            slots, vectors = zip(*came[start : start + _SLICE], strict=True)
            made.add(np.array(slots, np.int64), np.stack(vectors))

    # -- at rest ------------------------------------------------------------------------

    def rests_in(self, saved: Saved, lists: Lists) -> None:
        """These files have it as it is, unless other lists were cut since."""
        with self.lock.reading():
            if self.lists is lists:
                self.saved = saved

    def rested(self, until: int) -> Rested | None:
        """Where another process may search it, if it is small enough.

        Args:
            until: a watermark whose commits are all in.
        """
        saved = self.saved
        if saved is None or saved.bytes > knobs.NEAR_BYTES:
            return None
        return Rested(saved.lists.name, until)

    @property
    def wants_rest(self) -> bool:
        """Whether it is asked so much that its files are worth writing.

        N.B. those of a large one would be for the next start only.
        """
        return (
            self.saved is None
            and self.asked > self.live * knobs.VECTOR_REST_SHARE
            and self.lists.memory_bytes <= knobs.NEAR_BYTES
        )

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has changed for a while."""
        return monotonic() - self.changed_at > knobs.FOLLOWER_IDLE_SECONDS

    def was_asked(self, searches: int) -> bool:
        """Count searches that would not be asked of it at rest.

        Returns:
            Whether these are the ones that make it want rest.
        """
        if self.wants_rest:
            return False
        self.asked += searches
        return self.wants_rest

    # -- what people may want to know ---------------------------------------------------

    def status(self) -> dict[str, object]:
        """How many vectors it has, and what they take."""
        return {
            "vectors": self.versions.live,
            "superseded": self.versions.dead,
            "dimensions": self.definition.dimensions,
            "lists": self.lists.count,
            "probes": self.lists.probes[0],
            "isBuilding": self.is_building,
            "bytes": self.lists.memory_bytes
            + self.versions.memory_bytes
            + self.selections.memory_bytes,
        }

    def check(self) -> None:
        """Assert N2 and what the versions promise."""
        self.versions.check()
        slots, _ = self.lists.all()
        assert len(slots) == self.versions.used, (len(slots), self.versions.used)
        assert len(set(slots.tolist())) == len(slots), "a slot is there twice"


def _plain(value: Any) -> Any:
    """A value of which a body may have but the numbers."""
    return listed(value) if isinstance(value, Numbers) else value


def _digest(vector: NDArray[np.float32]) -> int:
    return int.from_bytes(blake2b(vector.tobytes(), digest_size=8).digest(), "little")
