"""The log as a stream: the newest in memory, the others in the file."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from convexlab import knobs
from convexlab.functions.logs.entries import Origin, Progress, size_of
from convexlab.functions.logs.file import LogFile
from convexlab.functions.logs.stream import LogStream
from convexlab.functions.logs.wanted import EVERYTHING, Wanted

SECOND = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ns = 1_700_000_000 * SECOND

    def __call__(self) -> int:
        return self.ns


@asynccontextmanager
async def stream_in(folder, clock=None, **options):
    stream = LogStream(LogFile(folder), now_ns=clock or Clock(), **options)
    yield stream
    await stream.close()


@pytest.fixture
async def stream(tmp_path):
    async with stream_in(tmp_path) as one:
        yield one


def add(stream: LogStream, *texts: str, function: str = "m:f") -> None:
    for text in texts:
        origin = Origin("Query", function)
        stream.add(Progress(stream.place(), origin, (f"[LOG] {text!r}",)))


def said(page) -> list[str]:
    return [entry.log_lines[0].split("'")[1] for entry in page.entries]


ONE_BYTES = size_of(Progress(1.0, Origin("Query", "m:f"), ("[LOG] 'a'",)))


async def test_the_newest_come_in_their_order(stream):
    add(stream, *"abc")
    assert said(await stream.newest(limit=2)) == ["b", "c"]
    assert said(await stream.newest(limit=9)) == ["a", "b", "c"]


async def test_an_empty_log_has_a_cursor_too(stream):
    page = await stream.newest(limit=9)
    assert (page.entries, page.cursor > 0) == ([], True)
    add(stream, "a")
    assert said(await stream.after(page.cursor, limit=9)) == ["a"]


async def test_what_comes_after_a_cursor_is_told_once(stream):
    add(stream, "a")
    page = await stream.newest(limit=9)
    add(stream, *"bcd")
    first = await stream.after(page.cursor, limit=2)
    rest = await stream.after(first.cursor, limit=2)
    assert (said(first), said(rest)) == (["b", "c"], ["d"])
    assert (await stream.after(rest.cursor, limit=2)).entries == []


async def test_l2_places_rise_though_the_clock_is_set_back(tmp_path):
    clock = Clock()
    async with stream_in(tmp_path, clock) as before:
        add(before, "a")
        clock.ns -= 3600 * SECOND
        add(before, "b")
        cursor = (await before.newest(limit=9)).cursor
    async with stream_in(tmp_path, clock) as after:
        add(after, "c")
        assert said(await after.after(cursor, limit=9)) == ["c"]
        assert said(await after.newest(limit=9)) == ["a", "b", "c"]


async def test_entries_survive_a_restart(tmp_path):
    async with stream_in(tmp_path) as before:
        add(before, *"abc")
    async with stream_in(tmp_path) as after:
        first = await after.newest(limit=1)
        assert said(first) == ["c"]
        assert said(await after.newest(limit=2)) == ["b", "c"]
        add(after, "d")
        assert said(await after.newest(limit=2)) == ["c", "d"]
        assert said(await after.after(first.entries[0].at_ms, limit=9)) == ["d"]


async def test_l3_what_memory_forgot_is_found_in_the_file(tmp_path):
    """Also before anything was written, and wherever the cursor is."""
    async with stream_in(tmp_path, recent_bytes=3 * ONE_BYTES) as stream:
        texts = [str(number) for number in range(20)]
        add(stream, *texts)
        everything = await stream.newest(limit=99)
        assert said(everything) == texts
        for number, entry in enumerate(everything.entries):
            page = await stream.after(entry.at_ms, limit=99)
            assert said(page) == texts[number + 1 :]
            page = await stream.after(entry.at_ms, limit=4)
            assert said(page) == texts[number + 1 : number + 5]
            assert (await stream.after(page.cursor, limit=99)).entries == (
                everything.entries[number + 5 :]
            )
            assert said(await stream.newest(limit=number)) == texts[20 - number :]


async def test_only_what_is_wanted_is_told(tmp_path):
    async with stream_in(tmp_path, recent_bytes=3 * ONE_BYTES) as stream:
        for number in range(10):
            add(stream, str(number), function="m:f" if number % 3 else "n:f")
        assert said(await stream.newest(Wanted(function="n"), limit=2)) == ["6", "9"]
        cursor = (await stream.newest(limit=9)).entries[0].at_ms
        page = await stream.after(cursor, Wanted(function="n"), limit=9)
        assert said(page) == ["3", "6", "9"]


async def test_a_page_is_bounded_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(knobs, "LOG_PAGE_BYTES", 3 * ONE_BYTES)
    async with stream_in(tmp_path) as stream:
        add(stream, "before")
        cursor = (await stream.newest(limit=1)).cursor
        add(stream, *"abcde")
        page = await stream.after(cursor, limit=99)
        assert said(page) == ["a", "b", "c"]
        assert said(await stream.after(page.cursor, limit=99)) == ["d", "e"]


async def test_who_follows_waits_for_what_is_wanted(stream):
    wanted = Wanted(function="n")
    start = (await stream.newest(limit=1)).cursor
    following = asyncio.create_task(
        stream.follow(start, wanted, limit=9, seconds=knobs.LOG_POLL_SECONDS)
    )
    await asyncio.sleep(0)
    add(stream, "a")
    add(stream, "b", function="n:f")
    page = await following
    assert said(page) == ["b"]
    assert (await stream.after(page.cursor, limit=9)).entries == []


async def test_who_follows_waits_for_so_long(stream):
    add(stream, "a")
    start = (await stream.newest(limit=1)).cursor
    page = await stream.follow(start, EVERYTHING, limit=9, seconds=0)
    assert (page.entries, page.cursor) == ([], start)


async def test_who_waits_is_let_go_at_the_end(stream):
    start = (await stream.newest(limit=1)).cursor
    following = asyncio.create_task(
        stream.follow(start, EVERYTHING, limit=9, seconds=knobs.LOG_POLL_SECONDS)
    )
    await asyncio.sleep(0)
    stream.release()
    assert (await following).entries == []


async def test_a_disk_that_takes_nothing_costs_only_what_memory_forgets(tmp_path):
    folder = tmp_path / "gone"
    async with stream_in(folder, recent_bytes=3 * ONE_BYTES) as stream:
        add(stream, *"abcde")
        assert said(await stream.newest(limit=9)) == ["c", "d", "e"]
        folder.mkdir()
        add(stream, *"fghij")
        assert said(await stream.newest(limit=9)) == list("fghij")


async def test_broken_lines_lose_themselves_alone(tmp_path):
    async with stream_in(tmp_path) as before:
        add(before, *"abc")
        places = [e.at_ms for e in (await before.newest(limit=9)).entries]
    file = tmp_path / "logs.jsonl"
    first, second, third, _ = file.read_bytes().split(b"\n")
    file.write_bytes(b"\n".join([first, second[:30], b"\0" * 9, third, b"torn"]))
    async with stream_in(tmp_path) as after:
        assert said(await after.newest(limit=9)) == ["a", "c"]
        for cursor in places[:2]:
            assert said(await after.after(cursor, limit=9)) == ["c"]
