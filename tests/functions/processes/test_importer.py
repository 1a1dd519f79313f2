"""functions/processes/importer.py: a body of lines, on its way through the processes."""

from __future__ import annotations

import asyncio
import os
import signal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st
from tests.functions.processes.test_supervisor import supervising, writer_pid

from convexlab import knobs
from convexlab.engine.catalog import load_catalog
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.persistence.sqlite import open_reader
from convexlab.engine.snapshot import newest_snapshot
from convexlab.errors import InvalidArguments, InvalidValue, ProcessDied
from convexlab.functions.processes.importer import Batch, Importer, batches_of

if TYPE_CHECKING:
    from pathlib import Path

BATCH = knobs.IMPORT_BATCH_DOCUMENTS

pieces = st.lists(
    st.sampled_from([b"", b"a", b"{}", b"x" * 70, b"\n", b"\r\n", b"\r", b"\n\n"])
).map(b"".join)


def body_of(numbers: range) -> bytes:
    return b"".join(b'{"n":%d}\n' % n for n in numbers)


def stored(folder: Path, table: str = "t") -> list[Any]:
    """The numbers that are there, in the order of creation."""
    store = open_reader(folder)
    with newest_snapshot(store.snapshot()) as snapshot:
        catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
        info = catalog.tables[table]
        rows = snapshot.rows(info.by_creation_time.id, EVERYTHING)
        found = [revision.document["n"] for _, revision in rows]
    store.close()
    return found


@given(pieces, st.integers(1, 4), st.integers(1, 100))
def test_batches_are_the_lines_in_order(body: bytes, most: int, size: int):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(knobs, "IMPORT_BATCH_DOCUMENTS", most)
        patched.setattr(knobs, "IMPORT_BATCH_MOST_BYTES", size)
        found = list(batches_of(body))
    if not body:
        assert found == [Batch(1, b"", is_empty=True)]
        return
    lines = [batch.lines.split(b"\n") for batch in found]
    assert [line for each in lines for line in each] == body.splitlines()
    assert all(len(each) <= most for each in lines)
    firsts = [1 + sum(map(len, lines[:at])) for at in range(len(lines))]
    assert [batch.first_line for batch in found] == firsts


def test_long_lines_make_small_batches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "IMPORT_BATCH_MOST_BYTES", 1 << 17)
    body = b"\n".join([b"x" * 50_000] * 20)
    sizes = [len(batch.lines) for batch in batches_of(body)]
    assert max(sizes) <= 1 << 18
    assert sum(sizes) + len(sizes) - 1 == len(body)


async def test_b1_documents_keep_the_order_of_lines_and_requests(tmp_path: Path):
    """The first batches make the table, so they go the ordinary way; then readers do."""
    async with supervising(tmp_path) as (supervisor, _):
        importer = Importer(supervisor)
        ends = [0, 3 * BATCH + 7, 5 * BATCH, 5 * BATCH + 1, 9 * BATCH]
        parts = [range(a, b) for a, b in pairwise(ends)]
        counts = await asyncio.gather(
            *(importer.insert("t", "append", body_of(part)) for part in parts)
        )
        assert counts == [len(part) for part in parts]
        assert stored(tmp_path) == list(range(ends[-1]))


async def test_b2_after_a_refused_line_nothing_is_written(tmp_path: Path):
    async with supervising(tmp_path) as (supervisor, _):
        importer = Importer(supervisor)
        await importer.insert("t", "append", body_of(range(1)))
        lines = body_of(range(1, 8 * BATCH)).splitlines()
        lines[2 * BATCH + 10] = b'{"n":1,"_x":1}'
        refused = rf"^line {2 * BATCH + 11}: .*`_x`"
        with pytest.raises(InvalidValue, match=refused) as raised:
            await importer.insert("t", "append", b"\n".join(lines))
        assert raised.value.__notes__ == [
            f"{2 * BATCH} documents before it were written."
        ]
        assert stored(tmp_path) == list(range(2 * BATCH + 1))
        await importer.insert(
            "t", "append", body_of(range(1))
        )  # the next one is not it


async def test_what_is_there_is_replaced_once(tmp_path: Path):
    async with supervising(tmp_path) as (supervisor, _):
        importer = Importer(supervisor)
        assert await importer.insert("t", "requireEmpty", body_of(range(2500))) == 2500
        with pytest.raises(InvalidArguments, match="already exists"):
            await importer.insert("t", "requireEmpty", body_of(range(3)))
        assert await importer.insert("t", "replace", body_of(range(9, 2509))) == 2500
        assert stored(tmp_path) == list(range(9, 2509))
        assert await importer.insert("t", "replace", b"") == 0
        assert stored(tmp_path) == []


async def test_a_writer_that_dies_leaves_no_gap_and_nothing_twice(tmp_path: Path):
    """Which batch it was at nobody knows; what is there is where the lines begin."""
    async with supervising(tmp_path) as (supervisor, gateway):
        importer = Importer(supervisor)
        await importer.insert("t", "append", body_of(range(BATCH)))
        gateway.heard.clear()
        whole = range(BATCH, 40 * BATCH)
        importing = asyncio.create_task(importer.insert("t", "append", body_of(whole)))
        await gateway.heard.wait()
        os.kill(writer_pid(supervisor), signal.SIGKILL)
        try:
            assert await importing == len(whole)
        except ProcessDied:
            await importer.insert("u", "append", body_of(range(1)))  # all are answered
        else:
            assert len(stored(tmp_path)) == whole.stop
        found = stored(tmp_path)
        assert found == list(range(len(found)))
        assert len(found) % BATCH == 0
