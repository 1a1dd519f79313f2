"""Which files there are."""

from __future__ import annotations

from typing import Any

from convexlab import QueryCtx, internal_query


@internal_query
def get(ctx: QueryCtx, id: str) -> Any:  # noqa: A002 - as users write it
    """A file's document, or None."""
    return ctx.db.system.get("_storage", id)


@internal_query
def unreferenced(ctx: QueryCtx, digests: list[str]) -> list[str]:
    """Those of some digests, in base64, that no file has."""
    files = ctx.db.system.query("_storage")
    return [
        digest
        for digest in digests
        if files.with_index("by_sha256", sha256=digest).first() is None
    ]
