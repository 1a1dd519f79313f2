"""One text index: Tantivy's postings, whose texts they are, and what was there lately.

    a document's text ─▶ words ─▶ a slot ─▶ the tail ─▶ (many, or at rest) ─▶ Tantivy

A change ends a document's slot and gives it another. The ended ones stay in Tantivy for
a while, so that a moment a little ago can be answered; each answer leaves out what did
not hold at its moment.

One thread changes it; others ask meanwhile, also while Tantivy commits. A third one may
gather Tantivy's segments; whoever has something for Tantivy ends that first.

Invariants
    X1  As of a moment from `exact_from` on, the slots that held then are those of the
        documents of then that have words.
    X2  Tantivy, as it was committed last, has exactly the slots in use, but for those
        that the tail has.
    X3  `gone` counts, by word, the ended slots that Tantivy has.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Final

import numpy as np

from convexlab import knobs
from convexlab.documents.document import get_path
from convexlab.documents.ordering import encode_key
from convexlab.documents.words import words_of
from convexlab.followers.rested import Rested
from convexlab.followers.shared_lock import SharedLock
from convexlab.followers.text.gathering import Gathering
from convexlab.followers.text.searched import SearchedIndex
from convexlab.followers.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from convexlab.engine.write_set import Revision
    from convexlab.followers.schema_indexes import Step
    from convexlab.followers.text.postings import Postings, View
    from convexlab.followers.text.request import Definition
    from convexlab.followers.versions import Slots

    Texts = dict[int, list[str]]  # the words of slots

# The column beside the versions': when a document was created.
COLUMNS: Final = (np.float64,)
# A commit to Tantivy pays when the tail is so large a part of what it has.
_TAIL_SHARE: Final = 4
# How many texts are written anew before it is looked whether somebody waits.
_GATHERED_AT_ONCE: Final = 500
_NO_SLOTS: Final = np.zeros(0, np.int64)


class TextIndex(SearchedIndex):
    """See the module.

    Args:
        definition: what it is made of.
        postings: with nothing in them, or with what `versions` tells of.
        versions: of its files; None: it begins with nothing.

    Attributes:
        changes: how many slots have come and gone.
        rested_ts: the watermark of the files that have it as it is; 0: none have.
        asked: how many searches there were since it changed.
        changed_at: when that was, on the monotonic clock.
        gathering: of Tantivy's segments.
    """

    def __init__(
        self,
        definition: Definition,
        postings: Postings,
        versions: Versions | None = None,
    ) -> None:
        versions = versions or Versions(len(definition.filter_fields), COLUMNS)
        super().__init__(definition, versions)
        self.postings = postings
        self.changes = 0
        self.rested_ts = 0
        self.asked = 0
        self.changed_at = 0.0
        self.lock = SharedLock()
        self.gathering = Gathering(self.gather)

    @property
    def view(self) -> View:
        """See `SearchedIndex`."""
        return self.postings.view

    # -- changes --------------------------------------------------------------------

    def fill(self, steps: Iterable[Step]) -> None:
        """Take in documents that there are, while nobody asks; then they are `filled`."""
        fresh, _ = self._take(steps)
        self._give(fresh)

    def filled(self) -> None:
        """All documents that there are have been given."""
        self._commit()

    def apply(self, steps: Iterable[Step]) -> None:
        """See `SchemaIndex`."""
        with self.lock.writing():
            fresh, superseded = self._take(steps)
            current = {s: w for s, w in fresh.items() if self.versions.is_current(s)}
            # N.B. what came just now nobody asks for yet: it may go past the tail.
            is_run = len(current) > knobs.TEXT_TAIL_ROWS
            for slot, words in fresh.items():
                if slot not in current or not is_run:
                    self.tail.add(slot, words)
                if slot not in current:
                    self.tail.end(slot)
        self.gone.update(self._words_of(superseded))
        if is_run:
            self.gathering.end()
            self._give(current)
        if is_run or self._has_long_tail:
            self._commit()

    def _take(self, steps: Iterable[Step]) -> tuple[Texts, list[int]]:
        """The words of slots that begin, and those that end of what Tantivy has."""
        fresh: Texts = {}
        superseded = []
        for id_, ts, revision in steps:
            before = self._step(id_, ts, revision, fresh)
            if before is not None and before not in fresh and before not in self.tail:
                superseded.append(before)
        return fresh, superseded

    def _step(
        self, id_: bytes, ts: int, revision: Revision | None, fresh: Texts
    ) -> int | None:
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
            self.tail.end(before)
        self.changed_ts = max(self.changed_ts, ts)  # N.B. `take` goes by id
        self.changes += 1
        self.rested_ts = self.asked = 0
        self.changed_at = monotonic()
        if words:
            fresh[versions.begin(id_, ts, digest, keys, (created,))] = words
        return before

    def _give(self, texts: Mapping[int, Iterable[str]]) -> None:
        for slot, words in texts.items():
            self.postings.add(slot, words, self.versions.codes(slot))

    def _words_of(self, slots: list[int]) -> Iterable[str]:
        """The words of what Tantivy has; one that several have comes so often."""
        for words in self.postings.view.words_at(slots).values():
            yield from set(words)

    @property
    def _has_long_tail(self) -> bool:
        share = self.postings.view.there // _TAIL_SHARE
        return len(self.tail.pending) > min(share, knobs.TEXT_TAIL_ROWS)

    def settle(self) -> None:
        """Have Tantivy know all that is current."""
        if self.tail.pending:
            self._commit()

    def _commit(self, released: Slots = _NO_SLOTS) -> None:
        """Give Tantivy what it does not have, and show what it then has.

        N.B. that takes its time, while others ask on.

        Args:
            released: slots that it was told to delete; from here on they are free.
        """
        self.gathering.end()
        came = list(self.tail.pending)
        self._give({slot: self.tail.words(slot) for slot in came})
        forgotten = [slot for slot in released.tolist() if slot not in self.tail]
        words = list(self._words_of(forgotten))
        view = self.postings.commit()
        with self.lock.writing():
            self.postings.view = view
            self.tail.discard(came)
            if len(released):
                self.gone.subtract(words)
                self.gone = +self.gone
                self.tail.discard(released.tolist())
                self.exact_from = max(self.exact_from, self.versions.last_end(released))
                self.versions.release(released)

    @property
    def has_much_past(self) -> bool:
        """Whether forgetting what has ended is worth the while."""
        return self.versions.dead > knobs.TEXT_PAST_ROWS + self.versions.live // 32

    def trim(self, before: int) -> None:
        """Forget what ended before a timestamp, and more where there is much of it.

        N.B. what ended since the files were written must not go: they say that Tantivy
        has it. Writing them costs more than a change, so it pays for many at once.
        """
        ended = self.versions.ended_by(before)
        excess = self.versions.dead - knobs.TEXT_PAST_ROWS // 2
        if len(ended) < excess:
            ended = self.versions.ended_by(self.changed_ts)[:excess]
        if len(ended):
            self.gathering.end()
            stored = [slot for slot in ended.tolist() if slot not in self.tail]
            self.postings.delete(np.array(stored, np.int64))
            self._commit(ended)

    def gather(self, is_to_end: Callable[[], bool]) -> None:
        """Have Tantivy make one of its small segments, where that pays.

        Args:
            is_to_end: whether Tantivy is wanted: then all stays as it is.
        """
        postings, before = self.postings, self.postings.view
        slots = self._scattered()
        if not slots:
            return
        try:
            postings.delete(np.array(slots, np.int64))
            for start in range(0, len(slots), _GATHERED_AT_ONCE):
                if is_to_end():
                    postings.roll_back()
                    return
                self._give(before.words_at(slots[start : start + _GATHERED_AT_ONCE]))
            view = postings.commit()
        except BaseException:
            postings.roll_back()  # else the next commit would delete them
            raise
        with self.lock.writing():
            postings.view = view

    def _scattered(self) -> list[int]:
        """The slots of small segments that are in use: they are to become one."""
        found = np.unique(self.postings.scattered())
        with self.lock.reading():
            in_use = np.isin(found, self.versions.slots_in_use())
            # N.B. a slot that was free is the tail's when it is used again.
            return [slot for slot in found[in_use].tolist() if slot not in self.tail]

    def close(self) -> None:
        """Let go of Tantivy's files."""
        self.gathering.end()
        self.postings.close()

    def rested(self, until: int) -> Rested | None:
        """Where another process may search it, while nothing changes.

        Args:
            until: a watermark whose commits are all in.
        """
        if not self.rested_ts:
            return None
        return Rested(str(self.rested_ts), until, self.view.commit)

    @property
    def wants_rest(self) -> bool:
        """Whether it is asked so much that its files are worth writing."""
        if self.rested_ts or self.postings.folder is None:
            return False
        return self.asked * knobs.TEXT_REST_SHARE > self.live

    def was_asked(self) -> bool:
        """Count a search; whether it is the one that makes the index want rest."""
        asked = self.asked = self.asked + 1  # N.B. others count meanwhile
        enough = len(self.versions.slot_of) // knobs.TEXT_REST_SHARE + 1
        return asked == enough and self.wants_rest

    # -- what people may want to know ---------------------------------------------------

    @property
    def live(self) -> int:
        """How many documents have words in it."""
        return self.versions.live

    def status(self) -> dict[str, object]:
        """How many texts it has, in how many parts, and what they take in memory."""
        return {
            "texts": self.versions.live,
            "superseded": self.versions.dead,
            "pending": len(self.tail.pending),
            "segments": self.postings.view.segments,
            "bytes": self.versions.memory_bytes,
        }

    def check(self) -> None:
        """Assert X2, X3 and what versions and tail promise."""
        self.versions.check()
        self.tail.check()
        view = self.postings.view
        in_use = self.versions.slots_in_use().tolist()
        expected = [slot for slot in in_use if slot not in self.tail]
        stored = sorted(view.all_slots().tolist())
        assert stored == expected, (stored, expected)
        ended = [slot for slot in expected if not self.versions.is_current(slot)]
        gone = Counter(self._words_of(ended))
        assert gone == self.gone, (gone, self.gone)
        assert view.there == len(stored), (view.there, stored)


def _digest(words: list[str]) -> int:
    return int.from_bytes(blake2b(" ".join(words).encode(), digest_size=8).digest(), "little")  # fmt: skip
