"""Addresses: where a deployment says that it is reached.

    GET  /api/v1/get_canonical_urls      {"convexCloudUrl", "convexSiteUrl"}
    POST /api/v1/update_canonical_url    the owner knows better: behind a proxy

Both take the admin key. What is said is kept in the deployment (`functions/settings`),
so that functions and command lines are told the same, and files are served from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from aiohttp import web

from convexlab.errors import InvalidArguments
from convexlab.functions import settings, system_mutations, system_queries
from convexlab.web.answers import body_of, json_answer, owners

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.web.server import Door
    from convexlab.web.system import System

_NAMES = {"convexCloud": settings.CLOUD_URL, "convexSite": settings.SITE_URL}


class CanonicalUrl(msgspec.Struct, frozen=True, rename="camel"):
    """The body of `update_canonical_url`; without a `url` the owner has no say."""

    request_destination: Literal["convexCloud", "convexSite"]
    url: str | None = None


class Addresses:
    """A deployment's addresses.

    Args:
        system: keeps them.
        moved: told where clients reach the deployment, and its HTTP actions, whenever
            that is said.
    """

    def __init__(self, system: System, moved: Callable[[str, str], None]) -> None:
        self._system = system
        self._moved = moved

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        door.add("GET", "/api/v1/get_canonical_urls", owners(door, self.get))
        door.add("POST", "/api/v1/update_canonical_url", owners(door, self.update))

    async def answers_at(self, cloud: str, site: str) -> None:
        """The deployment is open, here."""
        here = {settings.CLOUD_URL: cloud, settings.SITE_URL: site}
        await self._system.do(system_mutations.SET, here)
        await self._tell()

    async def get(self, _request: web.BaseRequest) -> web.Response:
        """Say where it is reached."""
        ask = self._system.ask
        return json_answer(
            {
                "convexCloudUrl": await ask(system_queries.CLOUD_URL),
                "convexSiteUrl": await ask(system_queries.SITE_URL),
            }
        )

    async def update(self, request: web.BaseRequest) -> web.Response:
        """Take the owner's word for it."""
        asked: CanonicalUrl = await body_of(request, CanonicalUrl)
        url = asked.url and asked.url.rstrip("/")
        if url is not None and not url.startswith(("http://", "https://")):
            raise InvalidArguments(
                f"{asked.url!r} is no address, such as https://data.example."
            )
        name = settings.CANONICAL[_NAMES[asked.request_destination]]
        await self._system.do(system_mutations.SET, {name: url or None})
        await self._tell()
        return web.Response()

    async def _tell(self) -> None:
        ask = self._system.ask
        self._moved(
            await ask(system_queries.CLOUD_URL), await ask(system_queries.SITE_URL)
        )
