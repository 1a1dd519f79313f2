"""Vector searches of actions, asked of the index keeper by the runner itself.

    body ─▶ checked, as of all that is committed ─▶ keeper ─▶ ids and scores

Nothing follows what an action has read, so neither the gateway nor a reader has a part
in it: with them a search took four messages more, and twice the processor time beside
the keeper's own.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from convexlab import knobs
from convexlab.errors import ConvexlabError
from convexlab.followers.vector.request import NAME, encode_request
from convexlab.functions.processes.failures import failure_from, raised_from
from convexlab.functions.processes.keeper_calls import KeeperCalls
from convexlab.functions.processes.keeper_link import KeeperLink
from convexlab.functions.vector_search import hits_in, hits_of_each, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.vector.request import VectorRequest
    from convexlab.functions.processes.action_calls import Code
    from convexlab.functions.vector_search import VectorSearch

    _Checked = tuple["_Waiting", VectorSearch]
    # By all that they ask for but the vector.
    Kinds = dict[VectorRequest, list[_Checked]]


class AwaitedSearches:
    """Of `async def` actions, on the event loop of their runner.

    What they ask in one turn of the loop, or while enough is with the keeper, is looked
    at and asked together:

        answer ─▶ waiting ─▶ checked by one look ─▶ one question for each kind ─▶ keeper

    Of 16 that search a question each time was two waits for another process, whose
    threads then took the interpreter from one another.

    Args:
        code: what is deployed.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        self._keeper = KeeperCalls(code.folder)
        self._waiting: list[_Waiting] = []
        self._under_way: set[asyncio.Task[None]] = set()
        # N.B. a task that an action starts is that action's, and ends with it.
        self._nobodys = Context()

    async def answer(self, body: bytes) -> bytes:
        """The answer to `vector_search.ASK`.

        Raises:
            ConvexlabError: as the action gets it.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(body, loop.create_future())
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            loop.call_soon(self._go_on, context=self._nobodys)
        return await waiting.answer

    def close(self) -> None:
        """Hang up."""
        self._keeper.close()

    def _go_on(self) -> None:
        """Ask what waits, as far as the keeper is to be asked at once."""
        most = knobs.RUNNER_KEEPER_SEARCHES
        self._waiting = [each for each in self._waiting if not each.answer.done()]
        while self._waiting and len(self._under_way) < knobs.RUNNER_KEEPER_CALLS:
            some, self._waiting = self._waiting[:most], self._waiting[most:]
            task = asyncio.get_running_loop().create_task(self._answer(some))
            self._under_way.add(task)
            task.add_done_callback(self._done, context=self._nobodys)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._go_on()

    async def _answer(self, some: list[_Waiting]) -> None:
        try:
            kinds, at = self._checked(some)
            for request, searches in kinds.items():
                await self._ask(request, searches, at)
        except BaseException as error:
            for each in some:
                each.fail(error)
            raise

    def _checked(self, some: list[_Waiting]) -> tuple[Kinds, Timestamp]:
        """What each search asks for, where that can be; by what else than vectors."""
        found, at = self._code.all_searched([each.body for each in some])
        kinds: Kinds = {}
        for each, search in zip(some, found, strict=True):
            if isinstance(search, ConvexlabError):
                each.fail(raised_from(failure_from(search)))
            elif isinstance(search, Exception):
                each.fail(search)
            else:
                kind = replace(search.request(), vector=b"")
                kinds.setdefault(kind, []).append((each, search))
        return kinds, at

    async def _ask(
        self, kind: VectorRequest, searches: list[_Checked], at: Timestamp
    ) -> None:
        count = len(searches)
        vectors = b"".join([search.packed for _, search in searches])
        request = encode_request(replace(kind, vector=vectors, searches=count))
        try:
            said = await self._keeper.ask(
                NAME, request, at=at, patience_seconds=knobs.FOLLOWER_QUERY_SECONDS
            )
        except ConvexlabError as error:  # of the index, thus of all
            for each, _ in searches:
                each.fail(raised_from(failure_from(error)))
        else:
            found = hits_of_each(said, count)
            for (each, search), hits in zip(searches, found, strict=True):
                each.tell(told(search, hits))


class _Waiting(NamedTuple):
    """A search that an action waits for; or no longer, if that was cancelled."""

    body: bytes
    answer: asyncio.Future[bytes]

    def tell(self, answer: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class PlainSearches:
    """Of plain actions, each of whose threads may search at the same time.

    Args:
        code: what is deployed.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        self._idle: list[KeeperLink] = []

    def answer(self, body: bytes) -> bytes:
        """As `AwaitedSearches.answer`; blocks."""
        with _as_the_action_gets_it():
            search, at = self._code.searched(body)
            link = self._link()
            try:
                said = link.ask(
                    NAME,
                    encode_request(search.request()),
                    at=at,
                    patience_seconds=knobs.FOLLOWER_QUERY_SECONDS,
                )
            except BaseException:  # its answer must not be taken for the next one's
                link.close()
                raise
        self._idle.append(link)
        return told(search, hits_in(said))

    def close(self) -> None:
        """Hang up where nobody waits."""
        while self._idle:
            self._idle.pop().close()

    def _link(self) -> KeeperLink:
        try:
            return self._idle.pop()
        except IndexError:
            return KeeperLink(self._code.folder)


@contextmanager
def _as_the_action_gets_it() -> Iterator[None]:
    try:
        yield
    except ConvexlabError as error:
        raise raised_from(failure_from(error)) from None
