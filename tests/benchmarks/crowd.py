"""Many sessions in a process of their own, and how long news takes to reach them.

The parent's end is `Crowd`; the child reads commands, one JSON object a line, and
answers each with one:

    open     sessions, each with what it follows, one after another
    change   posts a change with a stamp that was never used, and waits until so many
             messages with the stamp have come
    pace     posts changes at a steady rate, whether they are answered or not

A message is looked through for its stamp and not decoded: the clients must not cost
more than the server.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import uvloop
from tests.benchmarks import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

WAIT_SECONDS = 120.0
_STAMP_SIZE = len("stamp-00000000")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a crowd goes.

    Args:
        url: of the server.
        socket_path: where sockets are opened.
        post_path: where changes are posted.
        ready: what is in the message that says a session has what it follows.
    """

    url: str
    socket_path: str = "/api/1.48.0/sync"
    post_path: str = "/api/mutation"
    ready: str = '"querySet":1'


@dataclass(frozen=True, slots=True)
class Change:
    """What is posted, with `STAMP` in it, and how many messages it leads to."""

    body: str
    deliveries: int
    post_path: str = ""


class Crowd:
    """The parent's end: a crowd that stays until `close`."""

    def __init__(self, place: Place) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.crowd"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask(asdict(place))

    def open(
        self,
        openings: Sequence[list[str]],
        *,
        at_once: int = 1,
        socket_path: str = "",
    ) -> list[float]:
        """Open sessions with these first messages; each one's ms until it is ready."""
        asked = {"openings": openings, "at_once": at_once, "socket_path": socket_path}
        return list(self._ask({"do": "open", **asked})["took"])

    def change(self, changes: Sequence[Change]) -> list[float]:
        """Post changes one after another; each one's ms until its last delivery."""
        said = self._ask({"do": "change", "changes": [asdict(c) for c in changes]})
        return list(said["took"])

    def pace(self, changes: Sequence[Change], *, per_second: float) -> list[float]:
        """Post changes at a rate; every delivery's ms, sorted."""
        listed = [asdict(change) for change in changes]
        said = self._ask({"do": "pace", "changes": listed, "per_second": per_second})
        return list(said["took"])

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(command) + "\n")
        self._child.stdin.flush()
        said = self._child.stdout.readline()
        if not said:
            raise RuntimeError("the crowd has gone: what it said is above")
        found: dict[str, Any] = json.loads(said)
        return found

    def close(self) -> None:
        """Let everybody leave."""
        self._child.stdin and self._child.stdin.close()
        self._child.wait(30)
        self._child.stdout and self._child.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def opening(queries: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """The first messages of a session that follows these queries."""
    connect = {
        "type": "Connect",
        "connectionCount": 0,
        "lastCloseReason": "InitialConnect",
        "clientTs": 0,
    }
    added = [
        {"type": "Add", "queryId": number, "udfPath": path, "args": [args]}
        for number, (path, args) in enumerate(queries)
    ]
    modify = {
        "type": "ModifyQuerySet",
        "baseVersion": 0,
        "newVersion": 1,
        "modifications": added,
    }
    return [json.dumps(connect), json.dumps(modify)]


# -- the child -------------------------------------------------------------------


class _Room:
    """The sockets, and what has been sent and has arrived."""

    def __init__(self, place: Place) -> None:
        self._host, self._port, self._prefix = wire.place_of(place.url)
        self._place = place
        self._sockets: list[wire.Subscriber] = []
        self._caller: wire.Caller | None = None
        self._turn = 0
        self._sent: dict[bytes, float] = {}
        self._took: list[float] = []
        self._expected = 0
        self._all: asyncio.Future[None] | None = None

    async def open(
        self, openings: list[list[str]], at_once: int, socket_path: str
    ) -> list[float]:
        took: list[float] = []
        path = self._prefix + (socket_path or self._place.socket_path)
        for start in range(0, len(openings), at_once):
            some = openings[start : start + at_once]
            took += await asyncio.gather(*(self._open(path, texts) for texts in some))
        return took

    async def _open(self, path: str, texts: list[str]) -> float:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        mark = self._place.ready.encode()

        def received(data: bytes, begin: int, end: int) -> None:
            if not ready.done() and data.find(mark, begin, end) >= 0:
                ready.set_result(None)
            self._received(data, begin, end)

        began = time.perf_counter()
        messages = [text.encode() for text in texts]
        _, socket = await loop.create_connection(
            lambda: wire.Subscriber(path, messages, received), self._host, self._port
        )
        self._sockets.append(socket)
        await asyncio.wait_for(ready, WAIT_SECONDS)
        return (time.perf_counter() - began) * 1e3

    async def change(self, changes: list[Change]) -> list[float]:
        return [await self._change(change) for change in changes]

    async def _change(self, change: Change) -> float:
        self._expect(change.deliveries)
        await self._post(change)
        await self._arrived()
        return self._took[-1]

    async def pace(self, changes: list[Change], per_second: float) -> list[float]:
        self._expect(sum(change.deliveries for change in changes))
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, change in enumerate(changes):
            await asyncio.sleep(max(0.0, began + number / per_second - loop.time()))
            await self._post(change)
        await self._arrived()
        return sorted(self._took)

    def _expect(self, deliveries: int) -> None:
        self._took = []
        self._expected = deliveries
        self._all = asyncio.get_running_loop().create_future()

    async def _arrived(self) -> None:
        assert self._all is not None, "nothing is expected"
        try:
            await asyncio.wait_for(self._all, WAIT_SECONDS)
        except TimeoutError:
            raise RuntimeError(
                f"{len(self._took)} of {self._expected} deliveries have come; "
                f"{sum(s.ended for s in self._sockets)} sockets were closed"
            ) from None

    async def _post(self, change: Change) -> None:
        caller = self._caller
        if caller is None:
            _, caller = await asyncio.get_running_loop().create_connection(
                lambda: wire.Caller(self._answered), self._host, self._port
            )
            self._caller = caller
        self._turn += 1
        stamp = f"stamp-{self._turn:08}"
        path = self._prefix + (change.post_path or self._place.post_path)
        body = change.body.replace("STAMP", stamp).encode()
        message = wire.request(path, body)
        self._sent[stamp.encode()] = time.perf_counter()
        caller.ask(message)

    def _answered(self, _: wire.Caller, body: bytes) -> None:
        if b'"success"' not in body and self._all is not None:
            self._all.set_exception(RuntimeError(f"refused: {body[:300]!r}"))

    def _received(self, data: bytes, begin: int, end: int) -> None:
        # Newest first: what follows are the stamps of earlier changes.
        at = data.find(b"stamp-", begin, end)
        sent = self._sent.get(data[at : at + _STAMP_SIZE]) if at >= 0 else None
        if sent is None or self._all is None:
            return
        self._took.append((time.perf_counter() - sent) * 1e3)
        if len(self._took) == self._expected:
            self._all.set_result(None)


async def _live() -> None:
    loop = asyncio.get_running_loop()
    room = _Room(Place(**json.loads(sys.stdin.readline())))
    print("{}", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        changes = [Change(**change) for change in command.get("changes", ())]
        match command["do"]:
            case "open":
                del command["do"]
                took = await room.open(**command)
            case "change":
                took = await room.change(changes)
            case _:
                took = await room.pace(changes, command["per_second"])
        print(json.dumps({"took": took}), flush=True)


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65_536), most))
    uvloop.run(_live())
