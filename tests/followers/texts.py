"""What a text index should say: plain BM25 over every document, on counts that are told."""

from __future__ import annotations

import gc
import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.documents.document import get_path
from convexlab.documents.ordering import encode_key
from convexlab.documents.schema import Schema, define_schema, define_table
from convexlab.documents.v import v
from convexlab.documents.words import searched_words, words_of
from convexlab.engine.timestamp import Timestamp
from convexlab.followers.following import Following
from convexlab.followers.text import resting
from convexlab.followers.text.follower import Texts
from convexlab.followers.text.request import (
    Definition,
    TextAnswer,
    TextRequest,
    Unsettled,
    decode_answer,
    decode_request,
    definition_of,
    encode_request,
)

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.followers.text.index import TextIndex

FILTERS = ("owner", "meta.kind")
Found = list[tuple[bytes, float]]
_ROUNDING = 1e-5


def schema_of(field: str = "body") -> Schema:
    """A table `t` of anything with a search index `said`."""
    table = define_table(v.any())
    table.search_index("said", search_field=field, filter_fields=FILTERS)
    return define_schema({"t": table}, schema_validation=False)


@dataclass
class Searched:
    """A committer and a follower of it, asked in Python's values."""

    committer: Committer
    store: Persistence
    folder: Path | None = None

    def __post_init__(self) -> None:
        self.follow()

    def follow(self) -> None:
        """Open the follower, anew if there is one: what a killed keeper leaves."""
        self.texts = self.following = None  # type: ignore[assignment]  # it has died
        gc.collect()  # Tantivy's lock goes with its writer
        self.texts = Texts(self.folder)
        self.following = Following(self.store, self.texts)

    def __call__(self, step: Any) -> Any:
        """Commit a transaction."""
        tx = self.committer.begin()
        result = step(tx)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        return result

    @property
    def now(self) -> Timestamp:
        return Timestamp(self.committer.snapshot().ts)

    @property
    def index(self) -> TextIndex:
        (index,) = self.texts.indexes.values()
        return index

    def definition(self) -> tuple[int, Definition]:
        catalog = self.committer.catalog
        assert catalog.schema is not None
        (index,) = catalog.schema.tables["t"].search_indexes
        return catalog.tables["t"].number, definition_of(index)

    def request(
        self,
        text: str,
        limit: int = 10,
        filters: dict[str, Any] | None = None,
        unsettled: tuple[Unsettled, ...] = (),
    ) -> bytes:
        number, definition = self.definition()
        wanted = tuple(
            (FILTERS.index(field), encode_key(value))
            for field, value in (filters or {}).items()
        )
        words = tuple(searched_words(text))
        return encode_request(
            TextRequest(number, "said", definition, words, limit, wanted, unsettled)
        )

    def plain(
        self,
        documents: dict[bytes, dict[str, Any]],
        text: str,
        limit: int = 10,
        filters: dict[str, Any] | None = None,
    ) -> Found:
        """What `plain` says of some documents, on the index's counts."""
        counts = IndexCounts(self.index, documents)
        return plain(documents, text, limit, filters, counts=counts)

    def ask(
        self, text: str, limit: int = 10, *, at: int | None = None, **options: Any
    ) -> Found:
        """(internal id, score), as the follower says."""
        moment = Timestamp(at or self.texts.watermark)
        answer = self.texts.answer(self.request(text, limit, **options), moment)
        return _pairs(decode_answer(answer))

    def look_at(self, text: str, limit: int = 10, *, at: int, **options: Any) -> Found:
        """The same, as a process says that looks at the files of what is at rest."""
        number, _ = self.definition()
        rested = self.index.rested(self.texts.watermark)
        assert rested is not None, "it has changed since"
        assert self.folder is not None, "it has no files"
        key = (number, "said")
        near = resting.look_at(self.folder, key, rested, knobs.NEAR_BYTES)
        assert near is not None, "it is too large"
        asked = decode_request(self.request(text, limit, **options))
        assert near.has(asked, at), (at, near.until)
        return _pairs(near.index.answer(asked, Timestamp(at)))


def _pairs(answer: TextAnswer) -> Found:
    ids = [answer.ids[i : i + 16] for i in range(0, len(answer.ids), 16)]
    return list(zip(ids, answer.scores, strict=True))


class Counts:
    """How many documents have a word, and how long they are on average.

    Args:
        documents: that are counted.
    """

    def __init__(self, documents: dict[bytes, dict[str, Any]]) -> None:
        texts = list(counted(documents).values())
        self.average_length = sum(sum(each.values()) for each in texts) / len(texts)
        self._documents = len(texts)
        self._having = Counter(word for each in texts for word in each)

    def idf(self, word: str) -> float:
        having = self._having[word]
        return math.log(1 + (self._documents - having + 0.5) / (having + 0.5))

    def completions(self, begin: str) -> list[str]:
        """Those that most documents have first."""
        begun = [word for word in self._having if word.startswith(begin)]
        return sorted(begun, key=lambda word: (-self._having[word], word))


class IndexCounts(Counts):
    """The counts of an index: as of its last commit to Tantivy, what is gone for a while.

    Args:
        index: whose they are.
        documents: that are asked of, whatever of them the index has.
    """

    def __init__(
        self, index: TextIndex, documents: dict[bytes, dict[str, Any]]
    ) -> None:
        self._words = {word for each in counted(documents).values() for word in each}
        self.average_length = index.postings.view.average_length
        self._index = index

    def idf(self, word: str) -> float:
        return self._index.idfs([word])[word]

    def completions(self, begin: str) -> list[str]:
        counts = Counter(dict(self._index.postings.view.completions(begin, 10_000)))
        counts.update(dict(self._index.tail.completions(begin)))
        counts.update({word: 0 for word in self._words if word.startswith(begin)})
        return sorted(counts, key=lambda word: (-counts[word], word))


def counted(documents: dict[bytes, dict[str, Any]]) -> dict[bytes, Counter[str]]:
    """How often each document has its words; without those that have none."""
    return {
        id_: Counter(words_of(document["body"]))
        for id_, document in documents.items()
        if isinstance(document.get("body"), str) and words_of(document["body"])
    }


def plain(
    documents: dict[bytes, dict[str, Any]],
    text: str,
    limit: int = 10,
    filters: dict[str, Any] | None = None,
    *,
    counts: Counts,
) -> Found:
    """The same by the book: every document scored."""
    words = searched_words(text)
    texts = counted(documents)
    if not words or not texts:
        return []
    begun = [word for word in counts.completions(words[-1]) if word not in words]
    weights = dict.fromkeys(begun[:16], 0.5) | dict.fromkeys(words, 1.0)
    ranked = []
    for id_, each in texts.items():
        norm = 1.2 * (0.25 + 0.75 * sum(each.values()) / counts.average_length)
        score = sum(
            weight * counts.idf(word) * 2.2 * each[word] / (each[word] + norm)
            for word, weight in weights.items()
            if each[word]
        )
        if score and _passes(documents[id_], filters or {}):
            score = float(f"{score:.12g}")
            ranked.append((-score, -documents[id_]["_creationTime"], id_))
    return [(id_, -score) for score, _, id_ in sorted(ranked)[:limit]]


def _passes(document: dict[str, Any], filters: dict[str, Any]) -> bool:
    return all(
        encode_key(get_path(document, field)) == encode_key(value)
        for field, value in filters.items()
    )


def assert_same(found: Found, expected: Found) -> None:
    """Equal scores but for what Tantivy rounds, and the order that they give.

    Scores that differ by no more than that may be in any order; equal ones may not.
    """
    assert len(found) == len(expected), (found, expected)
    for (_, score), (_, wanted) in zip(found, expected, strict=True):
        assert math.isclose(score, wanted, rel_tol=_ROUNDING), (found, expected)
    scores = dict(expected)
    ranked = [scores.get(id_, score) for id_, score in found]
    for better, next_ in pairwise(ranked):
        assert next_ <= better * (1 + _ROUNDING), (found, expected)
    for same in set(scores.values()):
        equal = [id_ for id_, score in expected if score == same]
        ordered = [id_ for id_, _ in found if scores.get(id_) == same]
        assert ordered == [id_ for id_ in equal if id_ in ordered], (found, expected)
