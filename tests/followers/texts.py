"""What a text index should say: plain BM25 over every document."""

from __future__ import annotations

import gc
import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexlab.documents.document import get_path
from convexlab.documents.ordering import encode_key
from convexlab.documents.schema import Schema, define_schema, define_table
from convexlab.documents.v import v
from convexlab.documents.words import searched_words, words_of
from convexlab.engine.timestamp import Timestamp
from convexlab.followers.following import Following
from convexlab.followers.text.follower import Texts
from convexlab.followers.text.request import (
    Definition,
    TextRequest,
    Unsettled,
    decode_answer,
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

    def ask(
        self, text: str, limit: int = 10, *, at: int | None = None, **options: Any
    ) -> Found:
        """(internal id, score), as the follower says."""
        moment = Timestamp(at or self.texts.watermark)
        answer = self.texts.answer(self.request(text, limit, **options), moment)
        found = decode_answer(answer)
        ids = [found.ids[i : i + 16] for i in range(0, len(found.ids), 16)]
        return list(zip(ids, found.scores, strict=True))


def plain(
    documents: dict[bytes, dict[str, Any]],
    text: str,
    limit: int = 10,
    filters: dict[str, Any] | None = None,
) -> Found:
    """The same by the book: every document counted and scored."""
    words = searched_words(text)
    counts = {
        id_: Counter(words_of(document["body"]))
        for id_, document in documents.items()
        if isinstance(document.get("body"), str) and words_of(document["body"])
    }
    if not words or not counts:
        return []
    having = Counter(word for each in counts.values() for word in each)
    average = sum(sum(each.values()) for each in counts.values()) / len(counts)
    begun = [w for w in having if w.startswith(words[-1]) and w not in words]
    begun.sort(key=lambda word: (-having[word], word))
    weights = dict.fromkeys(begun[:16], 0.5) | dict.fromkeys(words, 1.0)
    ranked = []
    for id_, each in counts.items():
        norm = 1.2 * (0.25 + 0.75 * sum(each.values()) / average)
        score = sum(
            weight
            * math.log(1 + (len(counts) - having[word] + 0.5) / (having[word] + 0.5))
            * 2.2
            * each[word]
            / (each[word] + norm)
            for word, weight in weights.items()
            if each[word]
        )
        if score and _passes(documents[id_], filters or {}):
            score = float(f"{score:.6g}")
            ranked.append((-score, -documents[id_]["_creationTime"], id_))
    return [(id_, -score) for score, _, id_ in sorted(ranked)[:limit]]


def _passes(document: dict[str, Any], filters: dict[str, Any]) -> bool:
    return all(
        encode_key(get_path(document, field)) == encode_key(value)
        for field, value in filters.items()
    )


def assert_same(found: Found, expected: Found) -> None:
    """Equal order and equal scores, but for the last of their six digits."""
    assert len(found) == len(expected), (found, expected)
    for (_, score), (_, wanted) in zip(found, expected, strict=True):
        assert math.isclose(score, wanted, rel_tol=3e-6), (found, expected)
    assert [id_ for id_, _ in found] == [id_ for id_, _ in expected]
