"""What does a text search cost beside bare Tantivy?

200,000 documents of 5 to 60 words (`--documents` for more), three kinds of searches:

    at the keeper's interface    bytes in, bytes out, as its process is asked
    through `ctx`                a query over HTTP, from one caller and from sixteen; and
                                 the same in one run, so that only `ctx` is measured;
                                 the index is at rest, all was written a while ago
    fresh                        a mutation that inserts a text and finds it, and the
                                 query after it, while the index is that large

The reference is Tantivy alone in the same run: the same words, its own ranking, the
numbers of the texts. It gives no documents and is on no other side of a socket. Each
round looks for other texts, so what the follower keeps from one search to another it
has for words that come again, as common ones do, and not for the rest.
"""

from __future__ import annotations

import itertools
import random
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - the reference
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.benchmarks.in_process import settle_garbage
from tests.benchmarks.in_turns import Crowd, beside
from tests.benchmarks.searchers import CALLERS, TIMES, Searchers
from tests.benchmarks.sentences import KINDS, OWNERS, Bare, searches, sentences
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
QUERIES = 200
LIMIT = 10
_ROUNDS = 3

Ways = dict[str, tuple["Callable[[str], Any]", list[str]]]


def run(options: Options) -> Iterator[Table]:
    count = options.documents(DOCUMENTS, 3_000)
    chance = random.Random(5)
    texts = list(sentences(count, chance))
    kinds = searches(options.count(QUERIES, 20) * (_ROUNDS + 1), chance)
    bare = Bare(texts)
    searched, took = follow(texts)
    notes = [
        f"filled in {took:.1f} s, bare Tantivy in {bare.seconds_to_fill:.1f} s",
        f"{searched.index.status()['bytes'] / count:,.0f} bytes a text in memory",  # type: ignore[operator]  # a number
    ]
    settle_garbage()
    yield at_the_keeper(bare, searched, kinds, count, notes)
    yield filtered(bare, searched, kinds["a common word"], count)
    del searched
    with Searchers(
        options.folder, texts, rest_seconds=options.seconds(10)
    ) as searchers:
        yield through_ctx(bare, searchers, kinds, count)
        yield from_many(bare, searchers, kinds, options.seconds(15))
        yield fresh(searchers, options.count(100, 5), count)


# -- at the keeper's interface ---------------------------------------------------------


def at_the_keeper(
    bare: Bare,
    searched: Searched,
    kinds: dict[str, list[str]],
    count: int,
    notes: list[str],
) -> Table:
    ways: Ways = {}
    for kind, asked in kinds.items():
        ways[f"bare Tantivy, {kind}"] = (lambda text: bare.numbers(text, LIMIT), asked)
        ways[f"bare Tantivy, no numbers, {kind}"] = (
            lambda text: bare.ask(text, LIMIT),
            asked,
        )
        ways[f"the follower, {kind}"] = (_asking(searched, asked), asked)
    return _beside(
        f"at the keeper's interface: the best {LIMIT} of {count:,} texts; "
        "ratio to bare Tantivy's rate",
        ways,
        notes,
    )


def filtered(bare: Bare, searched: Searched, asked: list[str], count: int) -> Table:
    filters = {
        "1 %": ({"owner": 0}, {"owner": 0}),
        "50 %": ({"meta.kind": 0}, {"kind": 0}),
    }
    ways: Ways = {}
    for share, (ours, theirs) in filters.items():
        ways[f"bare Tantivy, a filter that {share} pass"] = (
            lambda text, theirs=theirs: bare.numbers(text, LIMIT, **theirs),  # type: ignore[misc]  # mypy cannot tell its type
            asked,
        )
        ways[f"the follower, a filter that {share} pass"] = (
            _asking(searched, asked, ours),
            asked,
        )
    return _beside(
        f"a common word through a filter, of {count:,} texts; ratio to bare Tantivy's rate",
        ways,
    )


def _asking(
    searched: Searched, texts: list[str], filters: dict[str, Any] | None = None
) -> Callable[[str], Any]:
    """As the keeper asks: bytes in, which the asker has made, and bytes out."""
    at = searched.texts.watermark
    requests = {text: searched.request(text, LIMIT, filters) for text in texts}
    return lambda text: searched.texts.answer(requests[text], at)


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
        "owner": number % OWNERS,
        "meta": {"kind": number % KINDS},
    }
    return Revision(table, internal_id, 1, to_stored(document))


# -- through ctx ------------------------------------------------------------------------


def through_ctx(
    bare: Bare, searchers: Searchers, kinds: dict[str, list[str]], count: int
) -> Table:
    ways: Ways = {}
    for kind, asked in kinds.items():
        ways[f"bare Tantivy, {kind}"] = (lambda text: bare.numbers(text, LIMIT), asked)
        ways[f"a query over HTTP, {kind}"] = (searchers.one, asked)
    took = measure(ways)
    for kind, asked in kinds.items():
        ways[f"with_search_index, one of {TIMES} in a run, {kind}"] = (
            searchers.one,
            asked,
        )
        took[f"with_search_index, one of {TIMES} in a run, {kind}"] = [
            each / TIMES
            for start in range(0, len(asked), TIMES)
            for each in _timed(searchers.several, asked[start : start + TIMES])
        ]
    notes = [
        f"{kind}: a query over HTTP takes {ours - theirs:.2f} ms more than the engine (p50)"
        for kind in kinds
        for ours, theirs in [
            (
                percentile(took[f"a query over HTTP, {kind}"], 50),
                percentile(took[f"bare Tantivy, {kind}"], 50),
            )
        ]
    ]
    texts = [text for asked in kinds.values() for text in asked[:QUERIES]]
    with searchers.costs() as costs:
        for text in texts:
            searchers.one(text)
    notes.append(costs.of_each(len(texts)))
    return _table(
        f"through ctx, one caller: the best {LIMIT} documents of {count:,}; "
        "ratio to bare Tantivy's rate",
        took,
        notes,
    )


def from_many(
    bare: Bare, searchers: Searchers, kinds: dict[str, list[str]], seconds: float
) -> Table:
    rows, notes = (
        [],
        [f"the index has {searchers.segments()} segments, bare Tantivy's 1"],
    )
    for kind, asked in kinds.items():
        more_rows, more_notes = beside(
            f"bare Tantivy, {CALLERS} threads, {kind}",
            partial(_rate_and_cost, bare, asked[:QUERIES]),
            searchers,
            [
                _crowd(f"a query over HTTP, {kind}", searchers, asked, 1),
                _crowd(
                    f"with_search_index, {TIMES} in a run, {kind}",
                    searchers,
                    asked,
                    TIMES,
                ),
            ],
            seconds,
        )
        rows += more_rows
        notes += more_notes
    nothing = _crowd(
        "a query over HTTP that searches nothing", searchers, kinds["two words"], 0
    )
    rows.append(Row(nothing.name, *_alone(nothing, seconds / 3)))
    return Table(
        f"through ctx, {CALLERS} callers; ratio to bare Tantivy's rate just before",
        "search",
        rows,
        notes,
    )


def _crowd(name: str, searchers: Searchers, asked: list[str], each: int) -> Crowd:
    return Crowd(name, lambda s: searchers.crowd(asked, each=each, seconds=s), each)


def _rate_and_cost(bare: Bare, asked: list[str]) -> tuple[float, float]:
    began = time.process_time()
    rate = bare.rate(asked, LIMIT, callers=CALLERS)
    spent = time.process_time() - began
    return rate, 1e6 * spent / (CALLERS * len(asked))


def _alone(crowd: Crowd, seconds: float) -> tuple[float, list[float]]:
    took = crowd.ask(seconds)
    return len(took) / seconds, took


def fresh(searchers: Searchers, times: int, count: int) -> Table:
    changed, found = [], []
    for number in range(times):
        word = f"fresh{number}"
        changed += _timed(searchers.insert_and_find, word)
        found += _timed(searchers.find_one, word)
    return Table(
        f"freshness, in {count:,} texts: a text is found as soon as it is written",
        "call",
        [
            Row("a mutation that inserts a text and finds it", None, changed),
            Row("the query after it", None, found),
        ],
        [f"found at once in {times} of {times} mutations and queries"],
    )


def _timed(work: Callable[[Any], object], argument: object) -> list[float]:
    began = time.perf_counter()
    work(argument)
    return [(time.perf_counter() - began) * 1000]


# -- tables -------------------------------------------------------------------------------


def measure(ways: Ways) -> dict[str, list[float]]:
    """Milliseconds of each search; the ways take turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(_ROUNDS + 1):
        for some in itertools.zip_longest(
            *(_pieces(asked[turn :: _ROUNDS + 1]) for _, asked in ways.values())
        ):
            for (name, (way, _)), texts in zip(ways.items(), some, strict=True):
                for text in texts or ():
                    took = _timed(way, text)
                    if turn:  # the first is to warm up
                        taken[name] += took
    return taken


def _pieces(asked: list[str]) -> Iterator[list[str]]:
    """Short turns, so that all meet the same weather."""
    for start in range(0, len(asked), 20):
        yield asked[start : start + 20]


def _beside(title: str, ways: Ways, notes: list[str] | None = None) -> Table:
    return _table(title, measure(ways), notes or [])


def _table(title: str, took: dict[str, list[float]], notes: list[str]) -> Table:
    base = {
        _kind(name): float(np.median(each))
        for name, each in took.items()
        if name.startswith("bare Tantivy,") and "no numbers" not in name
    }
    return Table(
        title,
        "search",
        [
            Row(
                name,
                1000 / float(np.mean(each)),
                each,
                ratio=base[_kind(name)] / float(np.median(each)),
            )
            for name, each in took.items()
        ],
        notes,
    )


def _kind(name: str) -> str:
    return name.rpartition(", ")[2]
