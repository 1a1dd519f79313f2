"""A table's documents, page by page, in the order of their creation."""

from __future__ import annotations

from typing import Any, Literal

from convexlab import PaginationOpts, QueryCtx, internal_query


@internal_query
def default(
    ctx: QueryCtx,
    table: str,
    paginationOpts: PaginationOpts,
    order: Literal["asc", "desc"] = "desc",
    componentId: str | None = None,  # noqa: ARG001 - there is one component
) -> Any:
    """One page."""
    tables = ctx.db.system if table.startswith("_") else ctx.db
    return tables.query(table).order(order).paginate(paginationOpts)
