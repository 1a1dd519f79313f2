"""SQL that is followed: what a notebook's `db.sql(…).watch()` subscribes to."""

from __future__ import annotations

from typing import Any

from convexlab import QueryCtx, internal_query


@internal_query
def default(ctx: QueryCtx, sql: str, params: Any = None) -> Any:
    """The rows of one SELECT."""
    return ctx.db.sql(sql, params=[] if params is None else params)
