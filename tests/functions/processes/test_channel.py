"""The channel: whatever the pieces in which bytes arrive, messages arrive whole."""

from __future__ import annotations

import asyncio
import socket

import msgspec
from hypothesis import given, strategies as st

from convexlab.functions.processes.channel import AsyncChannel, SyncChannel, _Frames

_decoder = msgspec.msgpack.Decoder(list[int])


@given(
    st.lists(st.lists(st.integers(0, 1 << 40)), max_size=8),
    st.lists(st.integers(1, 7), min_size=1),
)
def test_frames_are_whole_however_they_are_cut(
    batches: list[list[int]], cuts: list[int]
) -> None:
    encode = msgspec.msgpack.encode
    bodies = [encode(batch) for batch in batches]
    data = b"".join(len(body).to_bytes(4, "little") + body for body in bodies)
    frames, found, at, turn = _Frames(), [], 0, 0
    while at < len(data):
        step = cuts[turn % len(cuts)]
        found += frames.feed(data[at : at + step])
        at, turn = at + step, turn + 1
    assert found == bodies


def test_a_closed_end_is_told_from_a_quiet_one() -> None:
    ours, theirs = socket.socketpair()
    channel: SyncChannel[int, int] = SyncChannel(ours, _decoder)
    assert channel.receive(wait=False) == []
    theirs.close()
    assert channel.receive(wait=True) is None
    ours.close()


async def test_what_one_turn_of_the_loop_sends_is_one_batch() -> None:
    ours, theirs = socket.socketpair()
    theirs_channel: SyncChannel[int, int] = SyncChannel(theirs, _decoder)
    lost = asyncio.Event()
    got: asyncio.Queue[list[int]] = asyncio.Queue()
    channel: AsyncChannel[int, int] = AsyncChannel(_decoder, got.put_nowait, lost.set)
    ours.setblocking(False)
    await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=ours)
    channel.send(1)
    channel.send(2)
    batch = await asyncio.to_thread(theirs_channel.receive, wait=True)
    assert batch == [1, 2]
    theirs_channel.send([3])
    assert await got.get() == [3]
    theirs.close()
    await lost.wait()


async def test_what_has_not_left_yet_is_not_written_over() -> None:
    ours, theirs = socket.socketpair()
    decoder = msgspec.msgpack.Decoder(list[bytes])
    theirs_channel: SyncChannel[bytes, bytes] = SyncChannel(theirs, decoder)
    channel: AsyncChannel[bytes, bytes] = AsyncChannel(decoder, print, lambda: None)
    ours.setblocking(False)
    await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=ours)
    sent = [bytes([number]) * 300_000 for number in range(8)]
    for message in sent:
        channel.send(message)
        await asyncio.sleep(0)  # a frame of its own
    got: list[bytes] = []
    while len(got) < len(sent):
        got += await asyncio.to_thread(theirs_channel.receive, wait=True) or [b""]
    assert got == sent
    channel.close()
    theirs.close()


async def test_a_frame_to_who_has_left_is_dropped() -> None:
    ours, theirs = socket.socketpair()
    lost = asyncio.Event()
    channel: AsyncChannel[int, int] = AsyncChannel(_decoder, print, lost.set)
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    failures: list[object] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(context))
    await loop.create_unix_connection(lambda: channel, sock=ours)
    theirs.close()
    channel.send(1)
    await lost.wait()
    assert not failures
