from __future__ import annotations

import asyncio
import threading

import pytest

from convexlab import knobs
from convexlab.functions.processes.bodies import (
    Incoming,
    Outgoing,
    PlainIncoming,
    PlainOutgoing,
)

PART = b"x" * knobs.HTTP_PART_BYTES
# So many parts are on the way, and no more.
ROOM = knobs.HTTP_WINDOW_BYTES // knobs.HTTP_PART_BYTES


class LostError(Exception):
    pass


async def test_a_sender_waits_until_what_it_sent_was_read() -> None:
    sent: list[bytes] = []
    enough = asyncio.Event()

    def put(data: bytes, _: bool) -> None:
        sent.append(data)
        if len(sent) == ROOM:
            enough.set()

    outgoing = Outgoing(put)
    incoming = Incoming(outgoing.took)

    async def send() -> None:
        for _ in range(2 * ROOM):
            await outgoing.send(PART, more=True)
        await outgoing.send(b"", more=False)

    sending = asyncio.create_task(send())
    for round_ in range(2):
        await enough.wait()
        enough.clear()
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(sent) == ROOM, f"round {round_}: it does not run ahead"
        for data in sent:
            incoming.feed(data, more=True)
        sent.clear()
        for _ in range(ROOM):
            assert await incoming.read() == PART
    await sending


async def test_a_reader_gets_what_came_and_then_the_end() -> None:
    incoming = Incoming(lambda _: None)
    reading = asyncio.create_task(incoming.read())
    await asyncio.sleep(0)
    incoming.feed(b"a", more=True)
    assert await reading == b"a"
    incoming.feed(b"b", more=False)
    assert [await incoming.read() for _ in range(3)] == [b"b", b"", b""]


async def test_both_ends_hear_of_a_failure() -> None:
    incoming = Incoming(lambda _: None)
    incoming.feed(b"a", more=True)
    incoming.fail(LostError())
    assert await incoming.read() == b"a"
    with pytest.raises(LostError):
        await incoming.read()
    outgoing = Outgoing(lambda *_: None)
    for _ in range(ROOM):
        await outgoing.send(PART, more=True)
    waiting = asyncio.create_task(outgoing.send(PART, more=True))
    await asyncio.sleep(0)
    outgoing.fail(LostError())
    with pytest.raises(LostError):
        await waiting


def test_a_thread_waits_for_room_and_another_makes_it() -> None:
    sent: list[bytes] = []
    enough = threading.Event()

    def put(data: bytes, _: bool) -> None:
        sent.append(data)
        if len(sent) == ROOM:
            enough.set()

    outgoing = PlainOutgoing(put)
    sending = threading.Thread(
        target=lambda: [outgoing.send(PART, more=True) for _ in range(2 * ROOM)]
    )
    sending.start()
    assert enough.wait(60)
    assert len(sent) == ROOM
    for _ in range(ROOM):
        outgoing.took(len(PART))
    sending.join(60)
    assert len(sent) == 2 * ROOM
    outgoing.fail(LostError())
    with pytest.raises(LostError):
        outgoing.send(PART, more=True)


def test_a_thread_reads_what_another_feeds() -> None:
    took: list[int] = []
    incoming = PlainIncoming(took.append)
    feeding = threading.Thread(
        target=lambda: [incoming.feed(b"ab", more=True), incoming.feed(b"", more=False)]
    )
    feeding.start()
    assert [incoming.read(), incoming.read()] == [b"ab", b""]
    feeding.join(60)
    assert took == [2]
    lost = PlainIncoming(took.append)
    lost.fail(LostError())
    with pytest.raises(LostError):
        lost.read()
