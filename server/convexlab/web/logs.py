"""The log over HTTP, for the owner: what each run came to, as it comes.

    GET /api/stream_function_logs?cursor=       Convex's: progress and completions
    GET /api/stream_udf_execution?cursor=       Convex's: completions, with all lines
    GET /api/convexlab/logs?cursor=&function=&kind=&level=&text=&request=&failed=&limit=&wait=

A cursor is a place in the log: whoever has seen the entries up to it is told of those
after it, and waits if there are none. Without one, or from 0, the newest are told at
once. What follows the log is a client: a deployment that waits for its last one to go
goes on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args
from uuid import UUID

import msgspec
from aiohttp import web

from convexlab import knobs
from convexlab.errors import Closing, InvalidArguments
from convexlab.functions.logs.entries import RunType
from convexlab.functions.logs.wanted import Wanted
from convexlab.functions.logs.wire import entry_json
from convexlab.protocol.versions import client_from_header
from convexlab.sync.transition import request_id
from convexlab.web.answers import owners

if TYPE_CHECKING:
    from collections.abc import Callable

    from multidict import MultiMapping

    from convexlab.functions.logs.entries import Entry
    from convexlab.functions.logs.stream import LogStream, Page
    from convexlab.sync.gateway import Gateway
    from convexlab.web.server import Door

Said = TypeVar("Said", bound=str)

LEVELS: Final = ("DEBUG", "INFO", "LOG", "WARN", "ERROR")
_KINDS: Final[dict[str, RunType]] = {kind.lower(): kind for kind in get_args(RunType)}
# Who reads lines in parts, by the name in `Convex-Client`.
_READ_PARTS: Final = frozenset({"npm-cli", "dashboard"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks for; `cursor` None: the newest."""

    wanted: Wanted
    cursor: float | None
    limit: int = knobs.LOG_PAGE_ENTRIES
    seconds: float = knobs.LOG_POLL_SECONDS


class Logs:
    """The endpoints of one deployment.

    Args:
        stream: its log.
        gateway: is told that somebody is there.
    """

    def __init__(self, stream: LogStream, gateway: Gateway) -> None:
        self._stream = stream
        self._gateway = gateway

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        for path, answer in (
            ("/api/stream_function_logs", self.functions),
            ("/api/stream_udf_execution", self.executions),
            ("/api/convexlab/logs", self.entries),
        ):
            door.add("GET", path, owners(door, answer))

    async def functions(self, request: web.BaseRequest) -> web.Response:
        """What runs print and come to; of one request, if a session's is named."""
        query = request.query
        session, number = query.get("sessionId"), query.get("clientRequestCounter")
        wanted = Wanted()
        if session is not None and number is not None:
            wanted = Wanted(request_id=_request_of(session, number), roots=True)
        client = client_from_header(request.headers.get("Convex-Client"))
        in_parts = client.name in _READ_PARTS
        return await self._answer(
            _Asked(wanted, _cursor(query)),
            partial(entry_json, in_parts=in_parts),
            cursor_name="newCursor",
        )

    async def executions(self, request: web.BaseRequest) -> web.Response:
        """What runs come to."""
        return await self._answer(
            _Asked(Wanted(ended=True), _cursor(request.query)),
            partial(entry_json, in_parts=False, with_told=True),
            cursor_name="newCursor",
        )

    async def entries(self, request: web.BaseRequest) -> web.Response:
        """What is wanted of the log."""
        return await self._answer(
            _asked(request.query), partial(entry_json, in_parts=True)
        )

    async def _answer(
        self,
        asked: _Asked,
        write: Callable[[Entry], dict[str, Any]],
        *,
        cursor_name: str = "cursor",
    ) -> web.Response:
        self._gateway.was_used()
        page = await self._page(asked)
        body = await asyncio.to_thread(_body, page, write, cursor_name)
        return web.Response(body=body, content_type="application/json")

    async def _page(self, asked: _Asked) -> Page:
        if asked.cursor is None:
            return await self._stream.newest(asked.wanted, limit=asked.limit)
        page = await self._stream.follow(
            asked.cursor, asked.wanted, limit=asked.limit, seconds=asked.seconds
        )
        if self._stream.is_released and not page.entries:
            raise Closing("The deployment is stopping.")
        return page


def _body(
    page: Page, write: Callable[[Entry], dict[str, Any]], cursor_name: str
) -> bytes:
    entries = [write(entry) for entry in page.entries]
    return msgspec.json.encode({"entries": entries, cursor_name: page.cursor})


# -- what is asked --------------------------------------------------------------------


def _asked(query: MultiMapping[str]) -> _Asked:
    wanted = Wanted(
        function=query.get("function", ""),
        run_type=_one_of(_KINDS, "kind", query),
        level=_one_of({each.lower(): each for each in LEVELS}, "level", query) or "",
        text=query.get("text", ""),
        request_id=query.get("request", ""),
        failed=query.get("failed") == "true",
    )
    limit = int(_number(query, "limit", knobs.LOG_PAGE_ENTRIES))
    return _Asked(
        wanted,
        _cursor(query),
        max(1, min(limit, knobs.LOG_PAGE_ENTRIES)),
        min(_number(query, "wait", knobs.LOG_POLL_SECONDS), knobs.LOG_POLL_SECONDS),
    )


def _cursor(query: MultiMapping[str]) -> float | None:
    """Where to go on; from 0 on there is more than anybody reads."""
    return _number(query, "cursor", 0.0) or None


def _number(query: MultiMapping[str], name: str, unsaid: float) -> float:
    text = query.get(name)
    try:
        number = unsaid if text is None else float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise InvalidArguments(
            f"`{name}` is a number that is not negative, not {text!r}."
        )
    return number


def _one_of(known: dict[str, Said], name: str, query: MultiMapping[str]) -> Said | None:
    text = query.get(name)
    if not text:
        return None
    found = known.get(text.lower())
    if found is None:
        listed = ", ".join(known.values())
        raise InvalidArguments(f"`{name}` is one of {listed}, not {text!r}.")
    return found


def _request_of(session: str, number: str) -> str:
    """The name of a session's request, as errors have it."""
    try:
        return request_id(str(UUID(session)), int(number))
    except ValueError:
        raise InvalidArguments(
            f"There is no request {number!r} of a session {session!r}."
        ) from None
