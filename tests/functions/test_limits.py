"""Every documented limit at its edge: as much passes, one more is refused by name.

Those of definitions are in `tests/documents/test_schema.py`, those of pages in
`test_pages.py`, those of time in `processes/test_supervisor.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.functions.lab import Lab, lab_of

from convexlab import knobs
from convexlab.documents.value import size_of
from convexlab.engine.limits import NO_LIMITS

if TYPE_CHECKING:
    from convexlab.functions.runner import FunctionError

SOURCE = """
def nested_value(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value

@query
def take(ctx, n: int): return len(ctx.db.query("t").take(n))
@query
def count(ctx): return ctx.db.query("t").count()
@query
def gets(ctx, ids: list, n: int):
    for document in ids[:n]:
        ctx.db.get(document)
@query
def ranges(ctx, n: int):
    for i in range(n):
        ctx.db.query("t").with_index("by_i", i=2 * i).first()
@query
def absent(ctx, n: int):
    for i in range(n):
        ctx.db.query("nothing").with_index("by_id").first()
@mutation
def inserts(ctx, n: int):
    for i in range(n):
        ctx.db.insert("u", {})
@mutation
def updates(ctx, id: str, n: int):
    for i in range(n):
        ctx.db.patch(id, {"n": -i})
@mutation
def elided(ctx, id: str, n: int):
    for i in range(n):
        ctx.db.patch(id, {"i": 0})
@mutation
def bytes_written(ctx, size: int, times: int):
    for _ in range(times):
        ctx.db.insert("u", {"x": "x" * size})
@mutation
def document(ctx, fields: int = 0, name: int = 1, depth: int = 0, items: int = 0, size: int = 0):
    ctx.db.insert("u", {
        **{f"f{i}": 0 for i in range(fields)},
        **({"n" * name: 0} if name > 1 else {}),
        **({"deep": nested_value(depth)} if depth else {}),
        **({"list": [0] * items} if items else {}),
        **({"text": "x" * size} if size else {}),
    })
@query
def returns(ctx, depth: int = 0, items: int = 0, size: int = 0):
    return nested_value(depth) if depth else "x" * size if size else [0] * items
@query
def takes(ctx, **rest): return None
@query
def calls(ctx, depth: int): return ctx.run_query(calls, depth=depth - 1) if depth else 0
@query
def filters(ctx, n: int):
    q = ctx.db.query("t")
    for i in range(n):
        q = q.filter(lambda d: d.i >= 0)
    return len(q.take(1))
@query
def prints(ctx, n: int, length: int = 1):
    for i in range(n): print("x" * (length - 2))
"""


@pytest.fixture(scope="module")
def lab() -> Lab:
    """32,001 documents and an index over them."""
    made = lab_of(SOURCE)
    made.index("t", "by_i", "i")
    tx = made.committer.begin(limits=NO_LIMITS)
    made.ids = tx.insert_many("t", [{"i": i} for i in range(32_001)])
    made.committer.accept(tx.finish())
    made.committer.settle_all()
    return made


def refusal(lab: Lab, kind: str, path: str, **args: Any) -> FunctionError:
    return (lab.query_error if kind == "query" else lab.mutation_error)(path, **args)


def passes(lab: Lab, kind: str, path: str, **args: Any) -> None:
    (lab.query if kind == "query" else lab.mutation)(path, **args)


class Edge(NamedTuple):
    """An argument whose value passes, and one more does not."""

    kind: str
    path: str
    name: str
    limit: int
    words: str


EDGES = [
    Edge("query", "m:take", "n", 32_000, "Too many documents read"),
    Edge("query", "m:ranges", "n", 4096, "Too many reads"),
    Edge("mutation", "m:inserts", "n", 16_000, "Too many writes"),
    Edge("mutation", "m:document", "fields", 1022, "too many fields (1025 >"),
    Edge("mutation", "m:document", "name", 1024, "field name that is too long"),
    Edge("mutation", "m:document", "depth", 15, "nested too deeply (17 >"),
    Edge("mutation", "m:document", "items", 8192, "array that is too long (8193 >"),
    Edge("query", "m:returns", "depth", 64, "nested too deeply"),
    Edge("query", "m:returns", "items", 8192, "array that is too long (8193 >"),
    Edge("query", "m:returns", "size", (16 << 20) - 2, "The result is too large"),
    Edge("query", "m:calls", "depth", 8, "nested more than 8 deep"),
    Edge("query", "m:filters", "n", 256, "at most 256 operators"),
]


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: f"{edge.path}-{edge.name}")
def test_the_limit_passes_and_one_more_is_refused(lab: Lab, edge: Edge) -> None:
    passes(lab, edge.kind, edge.path, **{edge.name: edge.limit})
    error = refusal(lab, edge.kind, edge.path, **{edge.name: edge.limit + 1})
    assert edge.words in error.message


def test_gets_count_as_documents_and_as_reads(lab: Lab) -> None:
    ids = lab.ids[:8000:2]  # so that no two are next to each other by any chance
    lab.query("m:gets", ids=ids, n=4000)
    more = lab.ids[1:8000:2][:97]
    error = lab.query_error("m:gets", ids=[*ids, *more], n=4097)
    assert (
        "Too many reads in a single function execution (limit: 4096)" in error.message
    )


def test_counting_is_one_read_however_many_there_are(lab: Lab) -> None:
    assert lab.query("m:count") == 32_001
    assert lab.last_tx.usage.documents_read == 0
    assert lab.last_tx.intervals_read() == 1


def test_a_range_without_documents_counts_once(lab: Lab) -> None:
    lab.query("m:absent", n=5000)


def test_the_same_document_written_twice_counts_twice(lab: Lab) -> None:
    (document,) = lab.insert("u", {"i": 0})
    lab.mutation("m:updates", id=document, n=16_000)
    assert (
        "Too many writes"
        in lab.mutation_error("m:updates", id=document, n=16_001).message
    )


def test_writes_that_change_nothing_do_not_count(lab: Lab) -> None:
    (document,) = lab.insert("u", {"i": 0})
    lab.mutation("m:elided", id=document, n=16_001)


def test_a_document_may_have_a_mebibyte(lab: Lab) -> None:
    rest = size_of({"text": "", "_id": "x" * 32, "_creationTime": 0})
    lab.mutation("m:document", size=(1 << 20) - rest)
    error = lab.mutation_error("m:document", size=(1 << 20) - rest + 1)
    assert "too large (1048577 bytes > maximum size 1 MiB)" in error.message


def test_sixteen_mebibytes_may_be_written(lab: Lab) -> None:
    lab.mutation("m:bytes_written", size=1 << 20 - 1, times=31)
    error = lab.mutation_error("m:bytes_written", size=1 << 20 - 1, times=32)
    assert "Too many bytes written" in error.message


def test_sixteen_mebibytes_may_be_read() -> None:
    lab = lab_of(SOURCE)
    tx = lab.committer.begin(limits=NO_LIMITS)
    tx.insert_many("t", [{"x": "x" * (1 << 19)} for _ in range(33)])
    lab.committer.accept(tx.finish())
    lab.query("m:take", n=31)
    assert "Too many bytes read" in lab.query_error("m:take", n=33).message


def test_arguments_may_have_sixteen_mebibytes(lab: Lab) -> None:
    """By Convex's measure, whatever their JSON takes."""
    rest = size_of({"x": b""})
    lab.query("m:takes", x=bytes((16 << 20) - rest))
    error = lab.query_error("m:takes", x=bytes((16 << 20) - rest + 1))
    assert error.message == (
        "The arguments are too large (16777217 bytes > maximum size 16777216 bytes)."
    )


def test_arguments_nest_as_deep_as_values(lab: Lab) -> None:
    def nested(depth: int) -> Any:
        value: Any = 0
        for _ in range(depth):
            value = [value]
        return value

    lab.query("m:takes", x=nested(63))
    assert "nested too deeply" in lab.query_error("m:takes", x=nested(64)).message


def test_256_lines_are_logged(lab: Lab) -> None:
    logged = lab.outcome("query", "m:prints", {"n": 256}).log_lines
    assert len(logged) == 256
    logged = lab.outcome("query", "m:prints", {"n": 300}).log_lines
    assert len(logged) == 257
    assert logged[-1] == (
        "[ERROR] Log overflow (maximum 256). Remaining log lines omitted."
    )


def test_a_log_line_has_32768_bytes(lab: Lab) -> None:
    fits = 32_768 - len("[LOG] ")
    (line,) = lab.outcome("query", "m:prints", {"n": 1, "length": fits}).log_lines
    assert len(line) == 32_768
    (line,) = lab.outcome("query", "m:prints", {"n": 1, "length": fits + 1}).log_lines
    assert line.endswith("x (truncated due to length)")


def test_only_so_many_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knobs, "MAX_TABLES", 3)
    lab = lab_of(SOURCE)
    for name in ("a", "b", "c"):
        lab.insert(name, {})
    assert "no more are allowed" in lab.mutation_error("m:inserts", n=1).message


def test_a_limit_that_was_met_stays_met() -> None:
    lab = lab_of(
        SOURCE
        + """
@mutation
def stubborn(ctx):
    failed = 0
    for i in range(16_003):
        try:
            ctx.db.insert("u", {})
        except Exception:
            failed += 1
    return failed
"""
    )
    assert lab.mutation("m:stubborn") == 3
