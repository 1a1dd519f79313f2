"""One text index: Tantivy's postings, whose texts they are, and what was there lately.

    a document's text ─▶ words ─▶ a slot ─▶ the tail ─▶ (many, or at rest) ─▶ Tantivy

A change ends a document's slot and gives it another. The ended ones stay in Tantivy for
a while, so that an answer as of a moment a little ago is exact; each answer leaves out
what did not hold at its moment.

Invariants
    X1  As of a moment from `exact_from` on, the slots that held then are those of the
        documents of then that have words.
    X2  Tantivy has exactly the slots in use, but for those that the tail says it has not.
    X3  The words of each slot are in the tail if Tantivy does not have it, if it has
        ended, or if it began after `exact_from`.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import numpy as np

from convexlab import knobs
from convexlab.documents.document import get_path
from convexlab.documents.ordering import encode_key
from convexlab.documents.words import words_of
from convexlab.engine.timestamp import in_words
from convexlab.errors import OutOfRetention
from convexlab.followers.shared_lock import SharedLock
from convexlab.followers.text.tail import Tail
from convexlab.followers.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.engine.write_set import Revision
    from convexlab.followers.schema_indexes import Step
    from convexlab.followers.text.postings import Postings
    from convexlab.followers.text.request import Definition
    from convexlab.followers.versions import Slots

# The columns beside the versions': when a document was created, how many words it has.
COLUMNS: Final = (np.float64, np.int64)
_CREATED: Final = 0
_LENGTH: Final = 1


class TextIndex:
    """See the module.

    Args:
        definition: what it is made of.
        postings: with nothing in them, or with what `versions` tells of.
        versions: of its files; None: it begins with nothing.

    Attributes:
        total_length: how many words the current texts have.
        changed_ts: the newest commit that changed what it holds.
        exact_from: states before this timestamp are not in it.
        changes: how many slots have come and gone.
    """

    def __init__(
        self,
        definition: Definition,
        postings: Postings,
        versions: Versions | None = None,
    ) -> None:
        self.definition = definition
        self.postings = postings
        self.versions = versions or Versions(len(definition.filter_fields), COLUMNS)
        self.tail = Tail()
        self.total_length = self.statistics_at(None)[1]
        self.changed_ts = 0
        self.exact_from = 0
        self.changes = 0
        self.lock = SharedLock()
        # The words of slots that began in the run that is taken in.
        self._fresh: dict[int, list[str]] = {}

    # -- changes --------------------------------------------------------------------

    def apply(self, steps: Iterable[Step]) -> None:
        """See `SchemaIndex`."""
        with self.lock.writing():
            superseded = [
                slot
                for id_, ts, revision in steps
                if (slot := self._step(id_, ts, revision)) is not None
            ]
            self._recall(superseded)
            if len(self._fresh) + len(self.tail.pending) > knobs.TEXT_TAIL_ROWS:
                self._commit()
            else:
                for slot, words in self._fresh.items():
                    self._note(slot, words)
            self._fresh = {}

    def _step(self, id_: bytes, ts: int, revision: Revision | None) -> int | None:
        """One document's; the slot that it had until now, if it has another."""
        versions, definition = self.versions, self.definition
        words: list[str] = []
        keys, created = [], 0.0
        if revision is not None:
            document = revision.decode()
            text = get_path(document, definition.field)
            words = words_of(text) if type(text) is str else []
            keys = [encode_key(get_path(document, f)) for f in definition.filter_fields]
            created = float(document["_creationTime"])
        before = versions.slot_of.get(id_)
        if not words and before is None:
            return None
        digest = _digest(words)
        if before is not None:
            if words and versions.is_same(before, digest, keys):
                return None
            versions.end(id_, ts)
            self.total_length -= int(versions.own[_LENGTH][before])
            self.tail.end(id_, before)
        self.changed_ts = max(self.changed_ts, ts)  # N.B. `take` goes by id
        self.changes += 1
        if words:
            own = (created, len(words))
            self._fresh[versions.begin(id_, ts, digest, keys, own)] = words
            self.total_length += len(words)
        return before

    def _note(self, slot: int, words: list[str]) -> None:
        self.tail.add(slot, words)
        if self.versions.is_current(slot):
            self.tail.pending[slot] = None
        else:
            self.tail.never.add(slot)

    def _recall(self, superseded: Iterable[int]) -> None:
        """Have the words of superseded slots in memory: X3."""
        unknown = {s for s in superseded if s not in self.tail and s not in self._fresh}
        for slot, words in self.postings.words_at(unknown).items():
            self.tail.add(slot, words)

    def settle(self) -> None:
        """Have Tantivy know all that is current."""
        with self.lock.writing():
            if self.tail.pending:
                self._commit()

    def _commit(self) -> None:
        """Give Tantivy what it does not have; the oldest of it is forgotten here."""
        tail, versions = self.tail, self.versions
        came = {slot: tail.words(slot) for slot in tail.pending}
        for slot, fresh in self._fresh.items():
            if versions.is_current(slot):
                came[slot] = fresh
            else:
                self._note(slot, fresh)
        for slot, words in came.items():
            self.postings.add(slot, words, versions.codes(slot))
        self.postings.commit()
        tail.newest |= dict.fromkeys(came)
        tail.pending = {}
        excess = len(tail.newest) - knobs.TEXT_PAST_ROWS
        for slot in list(tail.newest)[: max(excess, 0)]:
            self.exact_from = max(self.exact_from, versions.begun(slot))
            tail.discard(slot)
        for slot, words in came.items():
            if slot in tail.newest and slot not in tail:
                tail.add(slot, words)

    @property
    def has_much_past(self) -> bool:
        """Whether forgetting what has ended is worth the while."""
        return self.versions.dead > knobs.TEXT_PAST_ROWS + self.versions.live // 32

    def trim(self, before: int) -> None:
        """Forget what ended before a timestamp, and more where there is much of it.

        N.B. what ended since the files were written must not go: they say that Tantivy
        has it.
        """
        versions, tail = self.versions, self.tail
        with self.lock.writing():
            ended = versions.ended_by(before)
            excess = versions.dead - knobs.TEXT_PAST_ROWS
            if len(ended) < excess:
                ended = versions.ended_by(self.changed_ts)[:excess]
            if not len(ended):
                return
            self.exact_from = max(self.exact_from, versions.last_end(ended))
            stored = [slot for slot in ended.tolist() if tail.is_stored(slot)]
            for id_, slot in zip(versions.ids(ended), ended.tolist(), strict=True):
                tail.release(id_, slot)
            versions.release(ended)
            self.postings.delete(np.array(stored, np.int64))
            self._commit()

    # -- as of a moment -----------------------------------------------------------------

    def check_at(self, at: int) -> None:
        """Refuse a moment whose documents are not all known: X1."""
        if at < self.exact_from and at < self.changed_ts:
            raise OutOfRetention(
                f"The text index has no state as of {in_words(at)}; "
                f"the oldest that it has is of {in_words(self.exact_from)}."
            )

    def statistics_at(self, at: int | None) -> tuple[int, int]:
        """How many texts there were, and how many words in all; None: now."""
        versions = self.versions
        if at is not None and at >= self.changed_ts:
            return versions.live, self.total_length
        count = versions.count
        mask = versions.current() if at is None else versions.as_of(at)
        return int(mask.sum()), int(versions.own[_LENGTH][:count][mask].sum())

    def held_slot(self, id_: bytes, at: int) -> int | None:
        """The slot that a document had at a moment."""
        slot = self.versions.slot_of.get(id_)
        slots = [*self.tail.ended.get(id_, ()), *([] if slot is None else [slot])]
        return next((each for each in slots if self.versions.held(each, at)), None)

    def created(self, slots: Slots) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """When the documents of some slots were created."""
        column: np.ndarray[tuple[int], np.dtype[np.float64]]
        column = self.versions.own[_CREATED][slots]
        return column

    def lengths(self, slots: Slots) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """How many words the texts of some slots have."""
        column: np.ndarray[tuple[int], np.dtype[np.int64]]
        column = self.versions.own[_LENGTH][slots]
        return column

    # -- what people may want to know ---------------------------------------------------

    @property
    def live(self) -> int:
        """How many documents have words in it."""
        return self.versions.live

    def status(self) -> dict[str, object]:
        """How many texts it has, and what they take in memory."""
        return {
            "texts": self.versions.live,
            "superseded": self.versions.dead,
            "words": self.total_length,
            "pending": len(self.tail.pending),
            "bytes": self.versions.memory_bytes,
        }

    def check(self) -> None:
        """Assert X2, X3 and what versions and tail promise."""
        self.versions.check()
        self.tail.check()
        assert self.total_length == self.statistics_at(None)[1]
        in_use = self.versions.slots_in_use().tolist()
        stored = sorted(self.postings.view.all_slots().tolist())
        expected = [slot for slot in in_use if self.tail.is_stored(slot)]
        assert stored == expected, (stored, expected)
        for slot in in_use:
            if self.versions.begun(slot) > self.exact_from:
                assert slot in self.tail, f"{slot} is not in the tail"


def _digest(words: list[str]) -> int:
    return int.from_bytes(blake2b(" ".join(words).encode(), digest_size=8).digest(), "little")  # fmt: skip
