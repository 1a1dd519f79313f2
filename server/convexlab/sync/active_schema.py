"""The schema that holds, for what beside functions goes by it: read again when it changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.encoding import from_stored
from convexlab.engine.system_tables import SCHEMAS_BY_STATE
from convexlab.errors import Unavailable
from convexlab.sync.scheduling import NOBODY

if TYPE_CHECKING:
    from convexlab.followers.written import Written
    from convexlab.sync.gateway import Gateway

_SCHEMAS: Final = "_system/frontend/getSchemas:default"


class ActiveSchema:
    """See the module.

    Args:
        gateway: reads it.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._changed = asyncio.Event()
        self._changed.set()

    def published(self, written: Written | None) -> None:
        """A group was published; None: nobody knows what it wrote."""
        if written is None or SCHEMAS_BY_STATE in written.index_ids:
            self._changed.set()

    @property
    def is_changed(self) -> bool:
        """Whether it may be another than `read` last gave."""
        return self._changed.is_set()

    async def changed(self) -> None:
        """Return when it may be another than `read` last gave."""
        await self._changed.wait()

    async def read(self) -> str:
        """As Convex's schema JSON; empty if none holds.

        Raises:
            ConvexlabError: it cannot be read now.
        """
        self._changed.clear()
        try:
            said = await self._gateway.query(_SCHEMAS, b"{}", NOBODY, stored=True)
            if said.error is not None:
                raise Unavailable(said.error.message)
        except BaseException:
            self._changed.set()
            raise
        assert said.value is not None, "a query has a value or an error"
        schemas: Any = from_stored(said.value)
        return schemas["active"] or ""
