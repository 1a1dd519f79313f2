"""N WebSocket clients and one caller in a process of their own, and how long news takes.

    python -m tests.benchmarks.subscribers      an `Audience` as JSON in, `Heard` out

Every round sends one HTTP request whose body holds a stamp that was never used, and
ends when the stamp has come to the last of the N sockets.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field

import uvloop
from tests.benchmarks import wire

ROUND_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Audience:
    """Who listens where, and what is sent.

    Args:
        url: of the server.
        size: how many sockets.
        rounds: how many changes, one after another; a tenth more go before, uncounted.
        socket_path: where sockets are opened.
        opening: what each sends first.
        ready: what is in the message that says a socket listens; empty for the upgrade.
        post_path: where changes are posted.
        body: a change, with `STAMP` in it.
    """

    url: str
    size: int
    rounds: int
    socket_path: str
    opening: list[str]
    ready: str
    post_path: str
    body: str


@dataclass(slots=True)
class Heard:
    """Milliseconds, one for each round (`each`: for each delivery, sorted, thinned)."""

    last_from_sending: list[float] = field(default_factory=list)
    last_from_response: list[float] = field(default_factory=list)
    each: list[float] = field(default_factory=list)
    frame_bytes: int = 0


def listen(audience: Audience) -> Heard:
    """Run the audience in a process of its own."""
    said = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.subscribers"],
        check=True,
        input=json.dumps(asdict(audience)),
        stdout=subprocess.PIPE,
        text=True,
    )
    return Heard(**json.loads(said.stdout))


class _Room:
    """The sockets of this process, and who has the stamp that is going round."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._stamp = b""
        self._arrivals: list[float] = []
        self._all = asyncio.get_running_loop().create_future()
        self.frame_bytes = 0

    def expect(self, stamp: bytes) -> None:
        self._stamp = stamp
        self._arrivals = []
        self._all = asyncio.get_running_loop().create_future()

    async def everyone(self) -> list[float]:
        try:
            await asyncio.wait_for(asyncio.shield(self._all), ROUND_SECONDS)
        except TimeoutError:
            have = f"{len(self._arrivals)} of {self._size}"
            raise RuntimeError(
                f"{have} have {self._stamp!r}; the others never will"
            ) from None
        return self._arrivals

    def received(self, data: bytes, begin: int, end: int) -> None:
        if data.find(self._stamp, begin, end) < 0:
            return
        self._arrivals.append(time.perf_counter())
        if len(self._arrivals) == self._size:
            self.frame_bytes = end - begin
            self._all.set_result(None)


async def _run(audience: Audience) -> Heard:
    loop = asyncio.get_running_loop()
    host, port, prefix = wire.place_of(audience.url)
    room = _Room(audience.size)
    room.expect(audience.ready.encode())
    opening = [text.encode() for text in audience.opening]
    sockets = []
    for _ in range(audience.size):
        _, client = await loop.create_connection(
            lambda: wire.Subscriber(
                prefix + audience.socket_path, opening, room.received
            ),
            host,
            port,
        )
        sockets.append(client)
    await room.everyone()

    answers: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    _, caller = await loop.create_connection(
        lambda: wire.Caller(
            lambda _, body: answers.put_nowait((time.perf_counter(), body))
        ),
        host,
        port,
    )
    heard = Heard()
    warm = max(1, audience.rounds // 10)
    for turn in range(audience.rounds + warm):
        stamp = f"stamp-{turn:08}"
        room.expect(stamp.encode())
        body = audience.body.replace("STAMP", stamp).encode()
        message = wire.request(prefix + audience.post_path, body)
        sent = time.perf_counter()
        caller.ask(message)
        answered, said = await answers.get()
        if b'"success"' not in said:
            raise RuntimeError(f"the change was refused: {said[:300]!r}")
        arrivals = await room.everyone()
        if turn < warm:
            continue
        heard.last_from_sending.append((arrivals[-1] - sent) * 1e3)
        heard.last_from_response.append((arrivals[-1] - answered) * 1e3)
        heard.each += [(arrival - sent) * 1e3 for arrival in arrivals]
    heard.frame_bytes = room.frame_bytes
    heard.each = sorted(heard.each)[:: max(1, len(heard.each) // 10_000)]
    ended = sum(client.ended for client in sockets)
    if ended:
        raise RuntimeError(f"{ended} sockets were closed by the server")
    return heard


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    asked = Audience(**json.loads(sys.stdin.read()))
    print(json.dumps(asdict(uvloop.run(_run(asked)))))
