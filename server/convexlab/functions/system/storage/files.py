"""Which files there are."""

from __future__ import annotations

from typing import Any

from convexlab import PaginationOpts, QueryCtx, internal_query


@internal_query
def get(ctx: QueryCtx, id: str) -> Any:  # noqa: A002 - as users write it
    """A file's document, or None."""
    return ctx.db.system.get("_storage", id)


@internal_query
def page(ctx: QueryCtx, paginationOpts: PaginationOpts) -> Any:
    """The files, newest first, each with its address."""
    found = ctx.db.system.query("_storage").order("desc").paginate(paginationOpts)
    files = [
        {**file, "url": ctx.storage.get_url(file["_id"])} for file in found["page"]
    ]
    return {**found, "page": files}
