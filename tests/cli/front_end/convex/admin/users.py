"""A module in a folder, with a function of the folder's name."""

from __future__ import annotations

from convexlab import Doc, Id, MutationCtx, QueryCtx, mutation, query


@query
def default(ctx: QueryCtx) -> list[Doc]:
    """What is called by its module's name."""
    return []


@mutation
def set_display_name(ctx: MutationCtx, user: Id.users, name: str) -> bool:
    """Names are spelled as JavaScript has them."""
    ctx.db.patch(user, {"name": name})
    return True
