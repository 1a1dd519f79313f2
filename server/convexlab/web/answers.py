"""Answers: what endpoints take and give as JSON, the same for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiohttp import web

from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.web import BaseRequest

    from convexlab.web.server import Door

Answered = TypeVar("Answered", bound=web.StreamResponse)


def owners(door: Door, answer: Callable[..., Awaitable[Answered]]) -> Any:
    """An endpoint that takes the admin key."""

    async def guarded(request: BaseRequest, *rest: str) -> Answered:
        await door.api.admin(request)
        return await answer(request, *rest)

    return guarded


async def body_of(request: BaseRequest, kind: type[Any]) -> Any:
    """A request's body.

    Raises:
        InvalidArguments: it is not what the endpoint takes.
    """
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidArguments(f"The body is not what this takes: {error}") from None


def json_answer(body: Any) -> web.Response:
    """An answer whose body is JSON."""
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
