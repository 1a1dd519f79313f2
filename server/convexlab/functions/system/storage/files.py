"""Which files there are."""

from __future__ import annotations

from typing import Any

from convexlab import QueryCtx, internal_query


@internal_query
def get(ctx: QueryCtx, id: str) -> Any:  # noqa: A002 - as users write it
    """A file's document, or None."""
    return ctx.db.system.get("_storage", id)
