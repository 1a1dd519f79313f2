"""Postings: which texts have a word, kept by Tantivy.

Each text is under its slot. What a search gets from here is as of the last `commit`, a
view that does not change: the texts that count, and what a word of theirs is worth.
Tantivy counts texts that are gone until it merges them away, which is well known and
does no harm, unless they are many: then words are weighted by what is there.

N.B. words are joined by blanks and split there again: what a word is, is not
Tantivy's to say.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import tantivy

from convexlab import knobs
from convexlab.followers.text.bm25 import COMPLETION, idf
from convexlab.followers.text.gathering import commit_in, segments_in, to_gather

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from convexlab.followers.versions import Slots

    # Numbers of filter fields, and of the values they must have.
    Codes = tuple[tuple[int, int], ...]
    Completions = Sequence[tuple[str, float]]  # words, and what is known of them

_WORDS: Final = "words"
_SLOT: Final = "slot"
_FREQUENCIES: Final = "freq"
_Query: Final = tantivy.Query
_MUST: Final = tantivy.Occur.Must
_SHOULD: Final = tantivy.Occur.Should
_TWICE: Final = 1 / COMPLETION  # of what a completion counts
# A slot's last bits are also put before its first. Numbers that rise are kept as lines,
# whose heads are all read at each look (of a million texts: 38 µs); these as they are.
_LAST_BITS: Final = 15
_SLOT_BITS: Final = 32
# How many texts are looked at in one call, which others wait for.
_AT_ONCE: Final = 500
# How many are deleted in one, which takes 3 ms.
_DELETED_AT_ONCE: Final = 10_000
_NO_SLOTS: Final = np.zeros(0, np.int64)
_SLOT_MASK: Final = (1 << _SLOT_BITS) - 1


class Hits(NamedTuple):
    """Texts that have one of the words, by score, the highest first.

    N.B. which of equal ones come first, and which are cut off, is chance.

    Attributes:
        scores: Tantivy's.
        slots: whose they are.
        is_all: whether there are no more.
    """

    scores: list[float]
    slots: list[int]
    is_all: bool


NO_HITS: Final = Hits([], [], is_all=True)


class Sought(NamedTuple):
    """What Tantivy is asked.

    Attributes:
        query: in its words.
        unit: what its scores are told in.
        words: how many count, completions among them.
    """

    query: Any
    unit: float = 1.0
    words: int = 0


class Postings:
    """See the module.

    Args:
        folder: of Tantivy's files; None keeps them in memory.
        filters: how many filter fields there are.

    Attributes:
        view: what searches are answered from.
    """

    def __init__(self, folder: Path | None, filters: int) -> None:
        self.folder = folder
        self._schema = _schema(filters)
        path = None if folder is None else str(folder)
        self._index = tantivy.Index(self._schema, path=path)
        self._index.config_reader(reload_policy="manual")
        self._writer = self._index.writer(knobs.TEXT_WRITER_BYTES, 1)
        number = 0 if folder is None else commit_in(folder)
        self.view = View(self._index.searcher(), self._schema, number)

    def add(self, slot: int, words: Iterable[str], codes: Sequence[int]) -> None:
        """A text, found after the next commit."""
        document = tantivy.Document()
        document.add_text(_WORDS, " ".join(words))
        document.add_unsigned(_SLOT, _spread(slot))
        for field, code in enumerate(codes):
            document.add_unsigned(f"filter{field}", code)
        self._writer.add_document(document)

    def delete(self, slots: Slots) -> None:
        """Texts that are found until the next commit."""
        for start in range(0, len(slots), _DELETED_AT_ONCE):
            # N.B. a deletion by term takes the number for a signed one and finds none.
            some = slots[start : start + _DELETED_AT_ONCE].tolist()
            query = _having_slots(self._schema, some)
            self._writer.delete_documents_by_query(query)

    def commit(self) -> View:
        """Have what was added and deleted last; what is to become the `view`."""
        number = int(self._writer.commit())
        self._index.reload()
        return View(self._index.searcher(), self._schema, number)

    def roll_back(self) -> None:
        """Forget what was added and deleted since the last commit."""
        self._writer.rollback()

    def scattered(self) -> Slots:
        """The slots of segments that are to become one, freed ones among them.

        They are those of Tantivy's last commit.
        """
        if self.folder is None:
            return _NO_SLOTS
        try:
            segments = segments_in(self.folder)
            self._index.reload()
            searcher = self._index.searcher()
            # N.B. a merge that ends meanwhile makes other segments of them.
            if segments_in(self.folder).keys() != segments.keys():
                return _NO_SLOTS
        except FileNotFoundError:
            return _NO_SLOTS
        sizes = list(segments.values())
        view = View(searcher, self._schema)
        found = [
            np.array(view.slots_at(number, range(start, end)), np.int64)
            for number in to_gather(sizes)
            for start in range(0, sizes[number].texts, _AT_ONCE)
            for end in [min(start + _AT_ONCE, sizes[number].texts)]
        ]
        return np.concatenate(found) if found else _NO_SLOTS

    def close(self) -> None:
        """Let go of the files."""
        with contextlib.suppress(ValueError):  # it has failed, or was closed before
            self._writer.wait_merging_threads()


def read_view(folder: Path, filters: int, commit: int) -> View:
    """What another process's postings have.

    Args:
        folder: of Tantivy's files.
        filters: how many filter fields there are.
        commit: the number of Tantivy's.

    Raises:
        FileNotFoundError: they are of another commit by now.
    """
    index = tantivy.Index.open(str(folder))
    index.config_reader(reload_policy="manual")
    searcher = index.searcher()
    if commit_in(folder) != commit:
        raise FileNotFoundError(f"{folder} has another commit than {commit}")
    return View(searcher, _schema(filters), commit)


class View:
    """What a commit left: it does not change.

    Attributes:
        commit: the number of Tantivy's.
        there: how many texts there are.
        documents: how many Tantivy counts, those among them that are gone.
        average_length: what it takes for the texts' average length.
        segments: in how many parts they are, each of which is searched.
    """

    def __init__(self, searcher: Any, schema: Any, commit: int = 0) -> None:
        self._searcher = searcher
        self._schema = schema
        self.commit = commit
        self.there = int(searcher.num_docs)
        self.segments = int(searcher.num_segments)
        self.documents, self.average_length = self._statistics()
        self._counts: dict[str, int] = {}
        self._completions: dict[tuple[str, int], list[tuple[str, int]]] = {}

    def _statistics(self) -> tuple[int, float]:
        """N.B. Tantivy tells these nowhere but where it explains a score."""
        hits = self._searcher.search(_Query.all_query(), 1, count=False).hits
        if not hits:
            return 0, 1.0
        ((_, address),) = hits
        query = self._having(self._words(address)[0])
        told = json.loads(query.explain(self._searcher, address).to_json())
        numbers = dict(_numbers(told))
        return int(numbers["N"]), numbers["avgdl"]

    # -- searches -----------------------------------------------------------------------

    def search(self, sought: Sought, limit: int) -> Hits:
        """The `limit` texts that score highest."""
        hits = self._searcher.search(sought.query, limit, count=False).hits
        if not hits:
            return NO_HITS
        told, addresses = zip(*hits, strict=True)
        unit = sought.unit
        return Hits(
            [score * unit for score in told], self._slots(addresses), len(hits) < limit
        )

    def query(
        self, words: Sequence[str], completions: Completions, filters: Codes
    ) -> Sought:
        """The texts with one of the words, or of the completions, which count half.

        N.B. a boost costs as much as its term, and most words are completions. Scores
        in halves are the same to the last bit.

        Args:
            words: that are looked for.
            completions: of the last one; these words among them do not count again.
            filters: what they must have.
        """
        term, boosted, schema = _Query.term_query, _Query.boost_query, self._schema
        parts = [
            (_SHOULD, boosted(term(schema, _WORDS, word, _FREQUENCIES), _TWICE))
            for word in words
        ]
        parts += [
            (_SHOULD, term(schema, _WORDS, word, _FREQUENCIES))
            for word, _ in completions
            if word not in words
        ][: knobs.MAX_SEARCH_COMPLETIONS]
        query = _Query.boolean_query(parts)
        if filters:
            query = self._filtered(query, filters)
        return Sought(query, COMPLETION, len(parts))

    def boosted_query(self, boosts: Mapping[str, float], filters: Codes) -> Sought:
        """The texts with one of the words.

        Args:
            boosts: by word, what Tantivy's score for it is multiplied by.
            filters: what they must have.
        """
        parts = [
            (_SHOULD, _Query.boost_query(self._having(word), boost))
            for word, boost in boosts.items()
        ]
        query = _Query.boolean_query(parts)
        if filters:
            query = self._filtered(query, filters)
        return Sought(query, 1.0, len(parts))

    def _filtered(self, words: Any, filters: Codes) -> Any:
        needed = [
            _Query.term_query(self._schema, f"filter{field}", code)
            for field, code in filters
        ]
        quiet = [(_MUST, _Query.const_score_query(query, 0.0)) for query in needed]
        return _Query.boolean_query([(_MUST, words), *quiet])

    def completions(self, begin: str, limit: int) -> list[tuple[str, int]]:
        """The words that begin so and are in most texts, with how many Tantivy counts.

        N.B. kept, as all words that begin so are looked at, and one who types begins
        as others do.
        """
        found = self._completions.get((begin, limit))
        if found is None:
            if len(self._completions) >= knobs.TEXT_KEPT_BEGINNINGS:
                self._completions.clear()
            found = self._searcher.terms_with_prefix(_WORDS, begin, limit=limit)
            self._completions[begin, limit] = found
        return found

    # -- counts -------------------------------------------------------------------------

    def counted(self, word: str) -> int:
        """How many texts have a word, as Tantivy counts."""
        return int(self._searcher.doc_freq(_WORDS, word))

    def having(self, word: str) -> int:
        """How many of the texts that are there have a word; counted once."""
        if self.documents == self.there:
            return self.counted(word)
        found = self._counts.get(word)
        if found is None:
            found = int(self._searcher.search(self._having(word), 1, count=True).count)
            self._counts[word] = found
        return found

    def own_idf(self, word: str) -> float:
        """How much Tantivy takes a word to say."""
        return idf(self.documents, self.counted(word))

    # -- texts --------------------------------------------------------------------------

    def words_at(self, slots: Sequence[int]) -> dict[int, list[str]]:
        """The words of texts, by slot."""
        if not slots:
            return {}
        query = _having_slots(self._schema, slots)
        hits = self._searcher.search(query, len(slots), count=False).hits
        addresses = [address for _, address in hits]
        words = map(self._words, addresses)
        return dict(zip(self._slots(addresses), words, strict=True))

    def all_slots(self) -> Slots:
        """Every text's slot."""
        all_ = Sought(_Query.all_query())
        return np.array(self.search(all_, self.there + 1).slots, np.int64)

    def slots_at(self, segment: int, places: Iterable[int]) -> list[int]:
        """The slots at some places of a segment, of texts that are gone among them."""
        return self._slots([tantivy.DocAddress(segment, place) for place in places])

    def _slots(self, addresses: Sequence[Any]) -> list[int]:
        found = self._searcher.fast_field_values(_SLOT, addresses)
        return [number & _SLOT_MASK for number in found]

    def _having(self, word: str) -> Any:
        return _Query.term_query(self._schema, _WORDS, word, _FREQUENCIES)

    def _words(self, address: Any) -> list[str]:
        text: str = self._searcher.doc(address).get_first(_WORDS)
        return text.split(" ")


def _schema(filters: int) -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(
        _WORDS, stored=True, tokenizer_name="whitespace", index_option=_FREQUENCIES
    )
    builder.add_unsigned_field(_SLOT, indexed=True, fast=True)
    for field in range(filters):
        builder.add_unsigned_field(f"filter{field}", indexed=True)
    return builder.build()


def _spread(slot: int) -> int:
    """As Tantivy keeps it."""
    return (slot & _LAST_BITS) << _SLOT_BITS | slot


def _having_slots(schema: Any, slots: Iterable[int]) -> Any:
    return _Query.term_set_query(schema, _SLOT, [_spread(slot) for slot in slots])


def _numbers(told: Any) -> Iterable[tuple[str, float]]:
    """What an explanation's numbers are called, up to the comma, and say."""
    yield told["description"].partition(",")[0], told["value"]
    for detail in told.get("details", ()):
        yield from _numbers(detail)
