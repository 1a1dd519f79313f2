"""Texts whose words are as common as words are, and bare Tantivy over them."""

from __future__ import annotations

import itertools
import random
import threading
import time
from typing import TYPE_CHECKING, Any

import tantivy  # noqa: TID253 - the reference

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WORDS = 50_000
_LETTERS = "abcdefghijklmnopqrst"
# Filter values: one text in so many has the value 0 of each field.
OWNERS = 100
KINDS = 2


def vocabulary(count: int = WORDS) -> list[str]:
    """Words of three to five letters, any beginning as likely as another."""
    chance = random.Random(6)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(chance.choices(_LETTERS, k=chance.randint(3, 5)))] = None
    return list(found)


def sentences(count: int, chance: random.Random) -> Iterator[str]:
    """Texts of 5 to 60 words, by Zipf's law."""
    words = vocabulary()
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(WORDS)))
    for _ in range(count):
        length = chance.randint(5, 60)
        yield " ".join(chance.choices(words, cum_weights=weights, k=length))


def searches(count: int, chance: random.Random) -> dict[str, list[str]]:
    """What people look for, by its kind; no two of a kind are the same."""
    picked = vocabulary()
    common, rare = picked[5:50], picked[50:3000]
    begins = list(dict.fromkeys(word[:3] for word in rare))
    chance.shuffle(begins)
    return {
        "a common word": chance.choices(common, k=count),
        "two words": [
            f"{chance.choice(rare)} {chance.choice(common)}" for _ in range(count)
        ],
        "three letters": list(itertools.islice(itertools.cycle(begins), count)),
    }


class Bare:
    """Tantivy alone, with the same words and filter fields.

    Args:
        texts: the n-th has n as its number.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        builder = tantivy.SchemaBuilder()
        builder.add_text_field(
            "body", stored=True, tokenizer_name="whitespace", index_option="freq"
        )
        builder.add_unsigned_field("number", fast=True)
        for field in ("owner", "kind"):
            builder.add_unsigned_field(field, indexed=True)
        began = time.perf_counter()
        self._index = tantivy.Index(builder.build())
        self._schema = self._index.schema
        writer = self._index.writer(knobs.TEXT_WRITER_BYTES, 1)
        for number, text in enumerate(texts):
            document = tantivy.Document()
            document.add_text("body", text)
            for field, value in (
                ("number", number),
                ("owner", number % OWNERS),
                ("kind", number % KINDS),
            ):
                document.add_unsigned(field, value)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self.seconds_to_fill = time.perf_counter() - began

    def ask(self, text: str, limit: int, **filters: int) -> list[Any]:
        """The same words; the sixteen that the last one begins, at half their worth."""
        *words, last = text.split()
        query, should, must = tantivy.Query, tantivy.Occur.Should, tantivy.Occur.Must
        searcher, schema = self._index.searcher(), self._schema
        parts = [
            (should, query.term_query(schema, "body", word, "freq"))
            for word in [*words, last]
        ]
        for word, _ in searcher.terms_with_prefix("body", last, limit=16):
            if word != last:
                term = query.term_query(schema, "body", word, "freq")
                parts.append((should, query.boost_query(term, 0.5)))
        asked = query.boolean_query(parts)
        if filters:
            needed = [
                query.const_score_query(query.term_query(schema, field, value), 0.0)
                for field, value in filters.items()
            ]
            asked = query.boolean_query([(must, each) for each in (asked, *needed)])
        found: list[Any] = searcher.search(asked, limit, count=False).hits
        return found

    def numbers(self, text: str, limit: int, **filters: int) -> list[Any]:
        """Which texts they are: what `ask` gives are places in Tantivy's files."""
        places = [place for _, place in self.ask(text, limit, **filters)]
        return self._index.searcher().fast_field_values("number", places)

    def rate(self, texts: Sequence[str], limit: int, *, callers: int) -> float:
        """Searches a second of so many threads."""
        return (
            callers
            * len(texts)
            / _seconds(lambda: [self.numbers(text, limit) for text in texts], callers)
        )


def _seconds(work: Callable[[], object], threads: int) -> float:
    """How long it takes that each of so many threads does it."""
    started = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    return time.perf_counter() - began
