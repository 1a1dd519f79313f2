"""What does a text search cost beside bare Tantivy?

200,000 documents of 5 to 60 words in the follower, asked as the keeper asks it: bytes
in, bytes out, scores exact. The reference is Tantivy alone in the same run, the same
words and its own scores; it gives addresses, not documents.
"""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - the reference
import tantivy  # noqa: TID253 - the reference
from tests.benchmarks.figures import Options, Row, Table
from tests.followers.texts import Searched, schema_of
from tests.followers.vectors import push

from convexlab.documents.encoding import to_stored
from convexlab.documents.ids import encode_id
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.write_set import Revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCUMENTS = 200_000
WORDS = 50_000
QUERIES = 200
LIMIT = 10
_ROUNDS = 3
_LETTERS = "abcdefghijklmnopqrst"


def run(options: Options) -> Iterator[Table]:
    count = options.count(DOCUMENTS, 3_000)
    queries = options.count(QUERIES, 20)
    chance = random.Random(5)
    texts = list(itertools.islice(sentences(chance), count))
    searched, took = follow(texts)
    bare, bare_took = bare_index(texts)
    picked = vocabulary(WORDS)
    kinds: dict[str, list[str]] = {
        "a common word": [
            picked[chance.randrange(5, 50)] + " " for _ in range(queries)
        ],
        "two words": [
            f"{picked[chance.randrange(2000)]} {picked[chance.randrange(5, 100)]}"
            for _ in range(queries)
        ],
        "three letters": [picked[chance.randrange(3000)][:3] for _ in range(queries)],
    }
    ways: dict[str, tuple[Callable[[str], Any], list[str]]] = {}
    for kind, asked in kinds.items():
        ways[f"bare Tantivy, {kind}"] = (lambda text: ask_bare(bare, text), asked)
        ways[f"the follower, {kind}"] = (_asking(searched), asked)
    rates = measure(ways)
    yield Table(
        f"the best {LIMIT} of {count:,} texts; ratio to bare Tantivy's rate",
        "search",
        [
            Row(
                name,
                1000 / float(np.mean(rates[name])),
                rates[name],
                ratio=float(np.median(rates[_bare(name)]) / np.median(rates[name])),
            )
            for name in ways
        ],
        [
            f"filled in {took:.1f} s, bare Tantivy in {bare_took:.1f} s",
            f"{searched.index.status()['bytes'] / count:,.0f} bytes a text in memory",  # type: ignore[operator]  # a number
        ],
    )


def _bare(name: str) -> str:
    return "bare Tantivy," + name.partition(",")[2]


def vocabulary(count: int) -> list[str]:
    """Words of three to five letters, any beginning as likely as another."""
    chance = random.Random(6)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(chance.choices(_LETTERS, k=chance.randint(3, 5)))] = None
    return list(found)


def sentences(chance: random.Random) -> Iterator[str]:
    """Texts whose words are as common as words are (Zipf)."""
    words = vocabulary(WORDS)
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(WORDS)))
    while True:
        length = chance.randint(5, 60)
        yield " ".join(chance.choices(words, cum_weights=weights, k=length))


def follow(texts: list[str]) -> tuple[Searched, float]:
    """A follower that has them, and how long it took to take them in."""
    store = MemoryPersistence()
    committer = Committer(store)
    push(committer, schema_of())
    searched = Searched(committer, store)
    table = committer.catalog.tables["t"]
    began = time.perf_counter()
    assert searched.texts.learn(committer.catalog) == [table]
    for start in range(0, len(texts), 10_000):
        searched.texts.take(
            table,
            [
                _revision(table.number, number, text)
                for number, text in enumerate(texts[start : start + 10_000], start)
            ],
        )
    searched.texts.took(table)
    searched.texts.apply([], searched.now)
    return searched, time.perf_counter() - began


def _revision(table: int, number: int, text: str) -> Revision:
    internal_id = number.to_bytes(16, "big")
    document: dict[str, Any] = {
        "_id": encode_id(table, internal_id),
        "_creationTime": float(number),
        "body": text,
    }
    return Revision(table, internal_id, 1, to_stored(document))


def bare_index(texts: list[str]) -> tuple[Any, float]:
    """Tantivy alone."""
    began = time.perf_counter()
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("body", tokenizer_name="default", index_option="freq")
    index = tantivy.Index(builder.build())
    writer = index.writer(32_000_000, 1)
    for text in texts:
        writer.add_document(tantivy.Document(body=text))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return index, time.perf_counter() - began


def ask_bare(index: Any, text: str) -> Any:
    """The same words; the sixteen that the last one begins, at half their worth."""
    *words, last = text.split()
    query, should, searcher = tantivy.Query, tantivy.Occur.Should, index.searcher()

    def term(word: str) -> Any:
        return query.term_query(index.schema, "body", word, "freq")

    completions = searcher.terms_with_prefix("body", last, limit=16)
    parts = [(should, term(word)) for word in [*words, last]]
    parts += [
        (should, query.boost_query(term(w), 0.5)) for w, _ in completions if w != last
    ]
    return searcher.search(query.boolean_query(parts), LIMIT, count=False).hits


def _asking(searched: Searched) -> Callable[[str], Any]:
    at = searched.texts.watermark

    def ask(text: str) -> Any:
        return searched.texts.answer(searched.request(text, LIMIT), at)

    return ask


def measure(
    ways: dict[str, tuple[Callable[[str], Any], list[str]]],
) -> dict[str, list[float]]:
    """Milliseconds of each search; the ways take turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(_ROUNDS + 1):
        for name, (way, asked) in ways.items():
            for one in asked:
                began = time.perf_counter()
                way(one)
                if turn:  # the first is to warm up
                    taken[name].append((time.perf_counter() - began) * 1000)
    return taken
