"""Search indexes are built from the push on that declares them, not from the first search.

A mutation does not wait for an index for long, since all others wait for it: one that
searches would fail until somebody had searched before. So what the schema declares is
kept as soon as it holds, and from the start of the deployment.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from convexlab import knobs
from convexlab.errors import ConvexlabError
from convexlab.followers.text import request as text
from convexlab.followers.vector import request as vector
from convexlab.sync.active_schema import ActiveSchema

if TYPE_CHECKING:
    from convexlab.followers.written import Written
    from convexlab.sync.gateway import Gateway

# In a table's JSON: its indexes, those that are staged too, and who keeps them.
_KEEPERS: Final = {
    "searchIndexes": text.NAME,
    "stagedSearchIndexes": text.NAME,
    "vectorIndexes": vector.NAME,
    "stagedVectorIndexes": vector.NAME,
}

_log = logging.getLogger(__name__)


class Keeps(Protocol):
    """Whoever keeps the followers."""

    def declare(self, names: frozenset[str]) -> None:
        """Keep these, whether or not anybody asks."""


class DeclaredIndexes:
    """See the module.

    Args:
        gateway: reads the schema.
        keeping: of the followers.
    """

    def __init__(self, gateway: Gateway, keeping: Keeps) -> None:
        self._schema = ActiveSchema(gateway)
        self._keeping = keeping

    def published(self, written: Written | None) -> None:
        """A group was published; None: nobody knows what it wrote."""
        self._schema.published(written)

    async def run(self) -> None:
        """Live until cancelled."""
        while True:
            await self._schema.changed()
            try:
                self._keeping.declare(followers_for(await self._schema.read()))
            except (ConvexlabError, OSError) as error:
                _log.warning("search indexes are not kept yet: %s", error)
                await asyncio.sleep(knobs.FOLLOWER_REST_SECONDS)


def followers_for(schema: str) -> frozenset[str]:
    """Who keeps the indexes that a schema's JSON declares."""
    tables: list[dict[str, Any]] = json.loads(schema or "{}").get("tables", [])
    return frozenset(
        name for table in tables for key, name in _KEEPERS.items() if table.get(key)
    )
