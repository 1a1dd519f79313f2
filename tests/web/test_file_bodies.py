"""A file comes in while its blocks are written, and what fails leaves nothing."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import TYPE_CHECKING

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol

from convexlab import knobs
from convexlab.engine.files import LocalFiles
from convexlab.errors import Sha256Mismatch, Unavailable
from convexlab.web.file_bodies import receive

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.files import Sink, Stored

BLOCK = bytes(range(256)) * (knobs.FILE_BLOCK_BYTES // 256)


class Kept:
    """A sink that notes what is called, and can be held or fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.calls: list[str] = []
        self.writing = threading.Event()
        self.may_go_on = threading.Event()
        self.gone = threading.Event()
        self._fails = fails

    def begin(self) -> Kept:
        return self

    def write(self, data: bytes) -> None:
        self.calls.append("write")
        self.writing.set()
        assert self.may_go_on.wait(60)
        if self._fails:
            raise Unavailable("The file cannot be stored.")
        self.calls.append(f"wrote {len(data)}")

    def finish(self) -> Stored:
        raise AssertionError("it is not whole")

    def discard(self) -> None:
        self.calls.append("discard")
        self.gone.set()


def content(*chunks: bytes, ends: bool = True) -> StreamReader:
    loop = asyncio.get_running_loop()
    protocol = BaseProtocol(loop)
    protocol.connection_made(asyncio.Transport())
    reader = StreamReader(protocol, 1 << 30, loop=loop)
    for chunk in chunks:
        reader.feed_data(chunk)
    if ends:
        reader.feed_eof()
    return reader


def files_in(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def finish(sink: Sink) -> Stored:
    return sink.finish()


async def test_all_its_blocks_arrive_in_their_order(tmp_path: Path):
    chunks = [bytes([n]) * 300_001 for n in range(20)]
    files = LocalFiles(tmp_path)
    stored = await receive(content(*chunks), files, finish)
    whole = b"".join(chunks)
    assert (stored.sha256, stored.size) == (hashlib.sha256(whole).digest(), len(whole))
    with files.open_file(stored.sha256) as file:
        assert file.read() == whole


async def test_an_empty_body_is_an_empty_file(tmp_path: Path):
    assert (await receive(content(), LocalFiles(tmp_path), finish)).size == 0


async def test_what_is_refused_at_its_end_leaves_nothing(tmp_path: Path):
    def refuse(_sink: Sink) -> Stored:
        raise Sha256Mismatch("other bytes were announced")

    with pytest.raises(Sha256Mismatch):
        await receive(content(BLOCK, b"x"), LocalFiles(tmp_path), refuse)
    assert files_in(tmp_path) == []


async def test_a_disk_without_room_is_told_and_the_rest_not_taken_in():
    sink = Kept(fails=True)
    sink.may_go_on.set()
    with pytest.raises(Unavailable):
        await receive(content(BLOCK, BLOCK, BLOCK), sink, finish)
    assert sink.calls == ["write", "discard"]


async def test_nothing_is_discarded_under_a_write():
    """Whoever is cancelled while a thread writes waits for it."""
    sink = Kept()
    receiving = asyncio.create_task(receive(content(BLOCK, ends=False), sink, finish))
    await asyncio.to_thread(sink.writing.wait, 30)
    receiving.cancel()
    await asyncio.sleep(0)
    assert sink.calls == ["write"]
    sink.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert sink.calls == ["write", f"wrote {len(BLOCK)}", "discard"]


async def test_nothing_is_left_when_it_is_cancelled_again():
    """Also not when it had failed, and waits for the write."""
    sink = Kept()
    receiving = asyncio.create_task(receive(content(BLOCK, ends=False), sink, finish))
    await asyncio.to_thread(sink.writing.wait, 30)
    for _ in range(2):
        receiving.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await receiving
    sink.may_go_on.set()
    assert await asyncio.to_thread(sink.gone.wait, 30)
    assert sink.calls == ["write", f"wrote {len(BLOCK)}", "discard"]
