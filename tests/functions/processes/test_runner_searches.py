"""What actions are told of their vector searches, whichever kind they are."""

from __future__ import annotations

import asyncio
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.functions.processes.keepers import ANSWERED, Keeper
from tests.functions.test_vector_search import searched_lab

from convexlab import knobs
from convexlab.documents.encoding import from_stored
from convexlab.documents.ids import decode_id
from convexlab.errors import FollowerBehind, NotFound
from convexlab.followers.vector.request import (
    VectorAnswer,
    decode_request,
    encode_answer,
)
from convexlab.functions import awaited_calls, vector_search
from convexlab.functions.awaited_calls import AsyncCalls, watch_tasks
from convexlab.functions.processes.action_calls import _sought
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.keeper_link import Told, send_frame
from convexlab.functions.processes.runner_searches import AwaitedSearches, PlainSearches
from convexlab.functions.run_log import LogLines

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator
    from pathlib import Path

    from convexlab.functions.processes.keeper_link import Question

IDS = [bytes([n]) * 16 for n in (1, 2)]


class Code:
    """What is deployed: a table with a vector index.

    Args:
        folder: the deployment's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lab = searched_lab()

    def searched(self, body: bytes) -> Any:
        tx = self._lab.committer.begin(writable=False)
        return vector_search.sought(tx, lambda *_: b"", body), tx.snapshot.ts

    def all_searched(self, bodies: list[bytes]) -> Any:
        tx = self._lab.committer.begin(writable=False)
        return [_sought(tx, body) for body in bodies], tx.snapshot.ts


def nearest(connection: socket.socket, question: Question) -> None:
    """A keeper that knows of two documents."""
    asked = decode_request(question.request)
    assert asked.limit == 7
    scores = b"\0\0\x80\x3f\0\0\0\x3f"
    found = encode_answer(VectorAnswer(b"".join(IDS), scores))
    send_frame(connection, msgspec.msgpack.encode(Told(found)))


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_an_action_gets_ids_and_scores_or_what_is_wrong(
    tmp_path: Path, kind: str
):
    keeper, code = Keeper(tmp_path, [nearest]), Code(tmp_path)
    searches: Any = (AwaitedSearches if kind == "async def" else PlainSearches)(code)  # type: ignore[arg-type]  # as much of it as is used

    async def found(index: str) -> Any:
        body = vector_search.asked("docs", index, [1.0, 0.5], 7, None)
        if kind == "async def":
            return from_stored(await searches.answer(body))
        return from_stored(await asyncio.to_thread(searches.answer, body))

    for _ in range(2):
        hits = await found("near")
        assert [decode_id(hit["_id"])[1] for hit in hits] == IDS
        assert [hit["_score"] for hit in hits] == [1.0, 0.5]
    with pytest.raises(NotFound, match=r"docs\.far not found"):
        await found("far")
    searches.close()
    await asyncio.sleep(0)
    await asyncio.to_thread(keeper.close)


class Several:
    """A keeper that says of each vector `[n, 1.0]` that document n is nearest.

    Attributes:
        asked: how many vectors each question had; the first sets `heard`, and they are
            answered once `may_answer` is set.
    """

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.heard, self.may_answer = threading.Event(), threading.Event()
        self.is_behind = False

    def __call__(self, connection: socket.socket, question: Question) -> None:
        asked = decode_request(question.request)
        self.asked.append(asked.searches)
        self.heard.set()
        assert self.may_answer.wait(ANSWERED)
        numbers = struct.unpack(f"<{2 * asked.searches}f", asked.vector)[::2]
        ids = b"".join(bytes([int(n)]) * 16 for n in numbers)
        scores = struct.pack(f"<{len(numbers)}f", *numbers)
        said = Told(encode_answer(VectorAnswer(ids, scores)))
        if self.is_behind:
            said = Told(b"", failure_from(FollowerBehind("It is being built.")))
        send_frame(connection, msgspec.msgpack.encode(said))


@dataclass
class Gathered:
    """Searches of actions, and the keeper that they ask."""

    searches: AwaitedSearches
    keeper: Several

    def search(
        self, number: int, index: str = "near", *, table: Any = "docs", limit: int = 7
    ) -> asyncio.Task[int]:
        """An action that looks for a document; its number."""

        async def found() -> int:
            vector = [float(number), 1.0]
            body = vector_search.asked(table, index, vector, limit, None)
            said: Any = from_stored(await self.searches.answer(body))
            (hit,) = said
            assert hit["_score"] == number
            return decode_id(hit["_id"])[1][0]

        return asyncio.create_task(found())


@pytest.fixture
async def gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Gathered]:
    monkeypatch.setattr(knobs, "RUNNER_KEEPER_CALLS", 1)
    several = Several()
    keeper = Keeper(tmp_path, [several])
    searches = AwaitedSearches(Code(tmp_path))  # type: ignore[arg-type]  # as much of it as is used
    yield Gathered(searches, several)
    several.may_answer.set()
    searches.close()
    await asyncio.sleep(0)
    await asyncio.to_thread(keeper.close)


async def test_searches_that_come_together_are_asked_together(gathered: Gathered):
    gathered.keeper.may_answer.set()
    first = [gathered.search(n) for n in (1, 2, 3)]
    wrong, other = gathered.search(4, "far"), gathered.search(6, limit=8)
    odd = gathered.search(7, table=["docs"])
    assert await asyncio.gather(*first) == [1, 2, 3]
    with pytest.raises(NotFound, match=r"docs\.far not found"):
        await wrong
    with pytest.raises(TypeError):  # Python's own, or mypyc's; and nobody else's
        await odd
    assert await gathered.search(5) == 5
    assert await other == 6
    assert gathered.keeper.asked == [3, 1, 1]


async def test_those_that_come_meanwhile_wait_and_go_together(
    gathered: Gathered, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "RUNNER_KEEPER_SEARCHES", 2)
    first = gathered.search(1)
    assert await asyncio.to_thread(gathered.keeper.heard.wait, ANSWERED)
    others = [gathered.search(n) for n in range(2, 7)]
    await asyncio.sleep(0)
    first.cancel()  # it is with the keeper
    others.pop(0).cancel()  # it waits
    gathered.keeper.may_answer.set()
    assert await asyncio.gather(*others) == [3, 4, 5, 6]
    assert gathered.keeper.asked == [1, 2, 2]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_is_wrong_with_the_index_all_are_told(gathered: Gathered):
    gathered.keeper.is_behind = True
    gathered.keeper.may_answer.set()
    for each in [gathered.search(n) for n in (1, 2)]:
        with pytest.raises(FollowerBehind, match="being built"):
            await each


async def test_a_search_outlives_the_action_that_came_first(gathered: Gathered):
    """What is asked for several is no task of one of them, which would end it."""
    watch_tasks(asyncio.get_running_loop())

    async def action(calls: AsyncCalls, number: int) -> int:
        awaited_calls.begin(calls)
        return await gathered.search(number)

    both = [AsyncCalls(lambda *_: None, LogLines()) for _ in range(2)]  # type: ignore[arg-type,return-value]  # it asks nothing
    runs = [asyncio.create_task(action(calls, n)) for n, calls in enumerate(both, 1)]
    assert await asyncio.to_thread(gathered.keeper.heard.wait, ANSWERED)
    await both[0].end_tasks()
    gathered.keeper.may_answer.set()
    assert await runs[1] == 2
    asyncio.get_running_loop().set_task_factory(None)
