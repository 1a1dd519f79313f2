"""Postings: which texts have a word, kept by Tantivy.

Each text is under its slot. What a search gets from here is as of the last `commit`;
Tantivy's own scores count texts that are gone until it merges them away, so they say
only which ones to look at (`ranking`).

N.B. words are joined by blanks and split there again: what a word is, is not
Tantivy's to say.
"""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tantivy

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from convexlab.followers.versions import Slots

_WORDS: Final = "words"
_SLOT: Final = "slot"
_FREQUENCIES: Final = "freq"
_Query: Final = tantivy.Query
_MUST: Final = tantivy.Occur.Must
_SHOULD: Final = tantivy.Occur.Should


@dataclass(frozen=True, slots=True)
class Hits:
    """Texts that have one of the words, by Tantivy's score, the highest first.

    Attributes:
        scores: Tantivy's.
        slots: whose they are.
        addresses: where Tantivy keeps them.
        is_all: whether there are no more.
    """

    scores: NDArray[np.float64]
    slots: Slots
    addresses: Sequence[Any]
    is_all: bool


class Postings:
    """See the module.

    Args:
        folder: of Tantivy's files; None keeps them in memory.
        filters: how many filter fields there are.
    """

    def __init__(self, folder: Path | None, filters: int) -> None:
        self.folder = folder
        self._schema = _schema(filters)
        path = None if folder is None else str(folder)
        self._index = tantivy.Index(self._schema, path=path)
        self._index.config_reader(reload_policy="manual")
        self._writer = self._index.writer(knobs.TEXT_WRITER_BYTES, 1)
        self._view = _View(self._index.searcher(), self._schema)

    @property
    def view(self) -> _View:
        """What was committed last."""
        return self._view

    def add(self, slot: int, words: Iterable[str], codes: Sequence[int]) -> None:
        """A text, found after the next commit."""
        document = tantivy.Document()
        document.add_text(_WORDS, " ".join(words))
        document.add_unsigned(_SLOT, slot)
        for field, code in enumerate(codes):
            document.add_unsigned(f"filter{field}", code)
        self._writer.add_document(document)

    def delete(self, slots: Slots) -> None:
        """Texts that are found until the next commit."""
        if len(slots):
            # N.B. a deletion by term takes the number for a signed one and finds none.
            query = _Query.term_set_query(self._schema, _SLOT, slots.tolist())
            self._writer.delete_documents_by_query(query)

    def commit(self) -> None:
        """Have what was added and deleted count, and last."""
        self._writer.commit()
        self._index.reload()
        self._view = _View(self._index.searcher(), self._schema)

    def close(self) -> None:
        """Let go of the files."""
        with contextlib.suppress(ValueError):  # it has failed, or was closed before
            self._writer.wait_merging_threads()

    def query(
        self, weights: Mapping[str, float], filters: Iterable[tuple[int, int]]
    ) -> Any:
        """The texts with one of the words, whose contributions are so much more.

        Args:
            weights: by word, what Tantivy's own contribution is multiplied by.
            filters: numbers of filter fields, and of the values they must have.
        """
        words = _Query.boolean_query(
            [
                (_SHOULD, _Query.boost_query(self._having(word), weight))
                for word, weight in weights.items()
            ]
        )
        needed = [
            _Query.term_query(self._schema, f"filter{field}", code)
            for field, code in filters
        ]
        if not needed:
            return words
        quiet = [(_MUST, _Query.const_score_query(query, 0.0)) for query in needed]
        return _Query.boolean_query([(_MUST, words), *quiet])

    def _having(self, word: str) -> Any:
        return _Query.term_query(self._schema, _WORDS, word, _FREQUENCIES)

    def count(self, word: str) -> int:
        """How many texts have a word, exactly."""
        view = self._view
        if view.has_no_gone:
            return int(view.searcher.doc_freq(_WORDS, word))
        found = view.counts.get(word)
        if found is None:
            found = view.searcher.search(self._having(word), 1, count=True).count
            view.counts[word] = found
        return int(found)

    def own_idf(self, word: str) -> float:
        """What Tantivy takes a word to say, which is of 32 bits."""
        having = int(self._view.searcher.doc_freq(_WORDS, word))
        others = self._view.documents - having
        half, one = np.float32(0.5), np.float32(1.0)
        ratio = (np.float32(others) + half) / (np.float32(having) + half)
        return float(np.log(one + ratio))

    def words_at(self, slots: Iterable[int]) -> dict[int, list[str]]:
        """The words of texts that were committed, by slot."""
        wanted = list(slots)
        if not wanted:
            return {}
        view = self._view
        query = _Query.term_set_query(self._schema, _SLOT, wanted)
        hits = view.search(query, len(wanted))
        return {
            slot: view.words(address)
            for slot, address in zip(hits.slots.tolist(), hits.addresses, strict=True)
        }


class _View:
    """What a commit left: it does not change."""

    def __init__(self, searcher: Any, schema: Any) -> None:
        self.searcher = searcher
        self._schema = schema
        self.counts: dict[str, int] = {}
        self._own: tuple[int, float] | None = None
        self._lock = threading.Lock()

    @property
    def documents(self) -> int:
        """How many texts Tantivy counts, those among them that are gone."""
        return self._statistics()[0]

    @property
    def average_length(self) -> float:
        """What Tantivy takes for the texts' average length."""
        return self._statistics()[1]

    @property
    def has_no_gone(self) -> bool:
        """Whether every text that Tantivy counts is there."""
        return self.documents == int(self.searcher.num_docs)

    def _statistics(self) -> tuple[int, float]:
        with self._lock:
            if self._own is None:
                self._own = self._explained()
            return self._own

    def _explained(self) -> tuple[int, float]:
        """N.B. Tantivy tells these nowhere but where it explains a score."""
        hits = self.search(_Query.all_query(), 1)
        if not len(hits.slots):
            return 0, 1.0
        (address,) = hits.addresses
        word = self.words(address)[0]
        query = _Query.term_query(self._schema, _WORDS, word, _FREQUENCIES)
        told = json.loads(query.explain(self.searcher, address).to_json())
        numbers = dict(_numbers(told))
        return int(numbers["N"]), numbers["avgdl"]

    def completions(self, begin: str) -> list[tuple[str, int]]:
        """Words that begin so, each with no fewer texts than have it."""
        found: list[tuple[str, int]] = self.searcher.terms_with_prefix(_WORDS, begin)
        return found

    def search(self, query: Any, limit: int) -> Hits:
        """The `limit` texts that score highest."""
        found = self.searcher.search(query, limit, count=False).hits
        addresses = [address for _, address in found]
        slots = self.searcher.fast_field_values(_SLOT, addresses)
        return Hits(
            np.array([score for score, _ in found], np.float64),
            np.array(slots, np.int64),
            addresses,
            len(found) < limit,
        )

    def words(self, address: Any) -> list[str]:
        """The words of a text."""
        text: str = self.searcher.doc(address).get_first(_WORDS)
        return text.split(" ")

    def all_slots(self) -> Slots:
        """Every text's slot."""
        return self.search(_Query.all_query(), int(self.searcher.num_docs) + 1).slots


def _schema(filters: int) -> Any:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field(
        _WORDS, stored=True, tokenizer_name="whitespace", index_option=_FREQUENCIES
    )
    builder.add_unsigned_field(_SLOT, indexed=True, fast=True)
    for field in range(filters):
        builder.add_unsigned_field(f"filter{field}", indexed=True)
    return builder.build()


def _numbers(told: Any) -> Iterable[tuple[str, float]]:
    """What an explanation's numbers are called, up to the comma, and say."""
    yield told["description"].partition(",")[0], told["value"]
    for detail in told.get("details", ()):
        yield from _numbers(detail)
