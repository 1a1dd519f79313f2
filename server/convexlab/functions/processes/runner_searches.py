"""Vector searches of actions, asked of the index keeper by the runner itself.

    body ─▶ checked, as of all that is committed ─▶ keeper ─▶ ids and scores

Nothing follows what an action has read, so neither the gateway nor a reader has a part
in it: with them a search took four messages more, and twice the processor time beside
the keeper's own.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.errors import ConvexlabError
from convexlab.followers.vector.request import NAME
from convexlab.functions.processes.failures import failure_from, raised_from
from convexlab.functions.processes.keeper_calls import KeeperCalls
from convexlab.functions.processes.keeper_link import KeeperLink
from convexlab.functions.vector_search import hits_in, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.functions.processes.action_calls import Code


class AwaitedSearches:
    """Of `async def` actions, on the event loop of their runner.

    Args:
        code: what is deployed.
    """

    def __init__(self, code: Code) -> None:
        self._code = code
        self._keeper = KeeperCalls(code.folder)

    async def answer(self, body: bytes) -> bytes:
        """The answer to `vector_search.ASK`.

        Raises:
            ConvexlabError: as the action gets it.
        """
        with _as_the_action_gets_it():
            search, at = self._code.searched(body)
            said = await self._keeper.ask(
                NAME,
                search.request(),
                at=at,
                patience_seconds=knobs.FOLLOWER_QUERY_SECONDS,
            )
        return told(search, hits_in(said))

    def close(self) -> None:
        """Hang up."""
        self._keeper.close()


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
                    search.request(),
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
