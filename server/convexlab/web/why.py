"""Why a live view shows what it shows, for the owner.

    POST /api/convexlab/why   {"path", "args"} ─▶ the last story of that query

Times are milliseconds. `knownAt` and `now` are by the deployment's clock, in
milliseconds since 1970: whoever asks can tell by `now` how far the two clocks are apart.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from convexlab.errors import InvalidArguments
from convexlab.protocol.messages import function_path
from convexlab.sync.gateway import canonical
from convexlab.web.answers import body_of, json_answer, owners

if TYPE_CHECKING:
    from aiohttp import web

    from convexlab.sync.causes import Cause, Causes, Story
    from convexlab.web.server import Door


class Asked(msgspec.Struct, frozen=True):
    """The body of a request: a query that somebody follows."""

    path: str
    args: msgspec.Raw = msgspec.Raw(b"{}")


class ToldCause(msgspec.Struct, frozen=True, rename="camel"):
    """A group of commits that ended what the query said before.

    Args:
        mutations: the first few of them, by path.
        commits: how many there were; 0: a push, an import, something of the system's.
        commit_ms: from handing the first of them to the writer until it was durable
            and known.
        run_ms: from then until the query had been asked again.
    """

    mutations: tuple[str, ...]
    commits: int
    commit_ms: float
    run_ms: float


class Told(msgspec.Struct, frozen=True, rename="camel"):
    """The answer.

    Args:
        cause: None for a view that has just begun, and where nobody knows any more.
        documents_read: how many documents the run read.
        function_ms: how long the function itself ran.
        known_at: when its result was there.
        now: when this was said.
    """

    cause: ToldCause | None
    documents_read: int
    function_ms: float
    known_at: float
    now: float


class Why:
    """The endpoint of one deployment.

    Args:
        causes: what is known.
    """

    def __init__(self, causes: Causes) -> None:
        self._causes = causes

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        door.add("POST", "/api/convexlab/why", owners(door, self.answer))

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Tell one query's story; null if nobody follows it.

        Raises:
            InvalidArguments: the body names no query.
        """
        asked: Asked = await body_of(request, Asked)
        path = function_path(asked.path)
        if path is None:
            raise InvalidArguments(f"{asked.path!r} is no path of a function.")
        story = self._causes.of(path, canonical(bytes(asked.args)))
        return json_answer(None if story is None else _told(story))


def _told(story: Story) -> Told:
    return Told(
        None if story.cause is None else _told_cause(story.cause, story.known_ns),
        story.documents_read,
        story.run_seconds * 1e3,
        story.known_ns / 1e6,
        time.time_ns() / 1e6,
    )


def _told_cause(cause: Cause, known_ns: int) -> ToldCause:
    return ToldCause(
        cause.paths,
        cause.commits,
        (cause.published_ns - cause.submitted_ns) / 1e6,
        (known_ns - cause.published_ns) / 1e6,
    )
