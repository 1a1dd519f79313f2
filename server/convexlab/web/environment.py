"""The environment over HTTP, for the owner; and what runs are given of it.

    POST /api/update_environment_variables   {"changes": [{"name", "value"}]}; null: gone
    GET  /api/list_environment_variables     {"environmentVariables": {name: value}}

Both also below `/api/v1/`. Values are sealed before they leave the gateway and opened
here again, so that no other process, file or log of the deployment's holds their text;
runs of actions are told it when they begin.

What changes is in force, for every run that begins after it, once it is acknowledged.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import EnvVarUnreadable, InvalidSecret, Unavailable
from convexlab.functions import variables
from convexlab.functions.environment import unreadable
from convexlab.functions.processes.push import PushRequest
from convexlab.functions.variables import Change
from convexlab.web.answers import body_of, json_answer, owners

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from convexlab.auth.sealing import Sealer
    from convexlab.functions.processes.push import Pusher, PushResult
    from convexlab.web.server import Door
    from convexlab.web.system import System

_ONLY_LOOK = PushRequest(dry_run=True)
_AS_IT_IS = PushRequest()


class Changes(msgspec.Struct, frozen=True):
    """The body of `update_environment_variables`."""

    changes: list[Change]


class Environment:
    """A deployment's variables.

    Args:
        system: keeps them.
        sealer: seals and opens their values.
        pusher: reads `auth_config` again when what that read is changed.
        learn: told of what came of it.
    """

    def __init__(
        self,
        system: System,
        sealer: Sealer,
        pusher: Pusher,
        learn: Callable[[PushResult], Awaitable[None]],
    ) -> None:
        self._system = system
        self._sealer = sealer
        self._pusher = pusher
        self._learn = learn
        self._one = asyncio.Lock()
        self._known: dict[str, str | None] = {}
        self._built_in: dict[str, str] = {}

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        for api in ("/api", "/api/v1"):
            door.add(
                "POST", f"{api}/update_environment_variables", owners(door, self.update)
            )
            door.add(
                "GET", f"{api}/list_environment_variables", owners(door, self.list_)
            )

    # -- what runs are given --------------------------------------------------------

    def variables(self) -> Mapping[str, str | None]:
        """All of them; None for a value that cannot be opened."""
        return self._known | self._built_in

    def answers_at(self, cloud: str, site: str) -> None:
        """The deployment and its HTTP actions are reached here."""
        self._built_in = {variables.CLOUD_URL: cloud, variables.SITE_URL: site}

    async def refresh(self) -> None:
        """Take in what is stored."""
        listed = await self._system.ask(variables.SEALED)
        self._known = {one["name"]: self._opened(**one) for one in listed}

    def _opened(self, name: str, value: bytes) -> str | None:
        try:
            return self._sealer.open(name, value)
        except (EnvVarUnreadable, InvalidSecret, Unavailable):
            return None

    # -- what the owner is told -----------------------------------------------------

    @property
    def opens(self) -> Mapping[str, Callable[[bytes], bytes]]:
        """What opens the values that the system's queries tell, by the query's path."""
        return {
            variables.LIST: lambda told: _stored(self._all(_read(told))),
            variables.GET: lambda told: _stored(self._one_of(_read(told))),
        }

    def _one_of(self, told: Any) -> Any:
        return None if told is None else self._all([told])[0]

    def _all(self, told: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        opened = {one["name"]: self._opened(one["name"], one["value"]) for one in told}
        closed = [name for name, value in opened.items() if value is None]
        if closed:
            raise unreadable(closed)
        return [{"name": name, "value": value} for name, value in opened.items()]

    async def list_(self, _request: web.BaseRequest) -> web.Response:
        """Say all that are set.

        Raises:
            EnvVarUnreadable: the values of some cannot be opened.
        """
        listed = await self._system.ask(variables.LIST)
        told = {one["name"]: one["value"] for one in listed}
        return json_answer({"environmentVariables": told})

    # -- changes --------------------------------------------------------------------

    async def update(self, request: web.BaseRequest) -> web.Response:
        """Make changes, all of them or none.

        Raises:
            InvalidEnvVar: one that cannot be made.
            PushFailed: `auth_config` could not be read with them.
        """
        asked: Changes = await body_of(request, Changes)
        variables.check(asked.changes)
        async with self._one:
            await self._update(asked.changes)
        return web.Response()

    async def _update(self, changes: Sequence[Change]) -> None:
        is_looked_up = await self._is_looked_up(changes)
        if is_looked_up:
            await self._pusher.push(_ONLY_LOOK, environment=self._changed(changes))
        try:
            sealed = [
                {"name": one.name, "sealed": self._sealed(one)} for one in changes
            ]
            await self._system.do(variables.UPDATE, {"changes": sealed})
        finally:
            await self.refresh()
        if is_looked_up:
            await self._learn(await self._pusher.push(_AS_IT_IS))

    def _changed(self, changes: Sequence[Change]) -> Mapping[str, str | None]:
        """The variables as they would be."""
        gone = {one.name for one in changes if one.value is None}
        kept = {name: v for name, v in self._known.items() if name not in gone}
        given = {one.name: one.value for one in changes if one.value is not None}
        return kept | given | self._built_in

    def _sealed(self, change: Change) -> bytes | None:
        if change.value is None:
            return None
        return self._sealer.seal(change.name, change.value)

    async def _is_looked_up(self, changes: Sequence[Change]) -> bool:
        """Whether `auth_config` read any of these."""
        deployed = await self._pusher.describe(counts=False)
        looked_up = set(deployed.auth.looked_up)
        return not looked_up.isdisjoint(one.name for one in changes)


def _read(told: bytes) -> Any:
    return from_stored(told)


def _stored(opened: Any) -> bytes:
    return to_stored(opened)
