"""Functions whose arguments and results are of every kind."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

from convexlab import (
    ActionCtx,
    Id,
    Int64,
    MutationCtx,
    PaginationOpts,
    PaginationResult,
    QueryCtx,
    action,
    internal_action,
    internal_query,
    mutation,
    query,
    v,
)


class Mood(enum.Enum):
    """An enumeration is its values."""

    GOOD = "good"
    BAD = "bad"


@dataclass
class Place:
    """A dataclass is an object; what has a default may be missing."""

    at: list[float]
    name: str | None = None


class Card(TypedDict):
    """So is a TypedDict."""

    _id: Id.posts
    title: str
    views: Int64
    state: Literal["draft", "out"] | None
    place: NotRequired[Place]
    tags: dict[str, list[str]]


@mutation
def write(  # noqa: PLR0917 - a call names them
    ctx: MutationCtx,
    author: Id.users,
    title: str,
    views: Int64,
    place: Place | None = None,
    mood: Mood = Mood.GOOD,
    photo: bytes | None = None,
) -> Id.posts:
    """Write a post."""
    fields = {"author": author, "title": title, "views": views, "state": None}
    return ctx.db.insert("posts", {**fields, "votes": {}, "more": None})


@query
def card(ctx: QueryCtx, post: Id.posts) -> Card | None:
    """A post, or nothing."""
    return None


@query
def cards(
    ctx: QueryCtx,
    paginationOpts: PaginationOpts,  # noqa: N803 - as clients have it
    author: Id.users,
) -> PaginationResult[Card]:
    """Somebody's posts, page by page."""
    return {"page": [], "isDone": True, "continueCursor": ""}


@query
def place_of(ctx: QueryCtx, post: Id.posts) -> Place:
    """A dataclass comes back."""
    return Place([0.0])


@query
def votes(ctx: QueryCtx) -> dict[Id.users, bool]:
    """A record of ids."""
    return {}


@query
def anything(ctx: QueryCtx, value: Any, **rest: Any) -> Any:
    """Whatever it may be."""
    return value


@query(
    args={
        "of": v.union(v.literal(1), v.literal("one")),
        "from": v.optional(v.id("users")),
    },
    returns=v.array(v.object({"in": v.nullable(v.int64())})),
)
def odd(ctx: QueryCtx, **args: Any) -> list[Any]:
    """Validators say what Python has no name for."""
    return []


@action
async def photo(ctx: ActionCtx, post: Id.posts) -> bytes | None:
    """Bytes come back."""
    return None


@mutation
def clear(ctx: MutationCtx) -> None:
    """Nothing goes in or out."""


@internal_query
def count(ctx: QueryCtx) -> float:
    """Only functions call this."""
    return 0


@internal_action
async def sweep(ctx: ActionCtx, before: float) -> None:
    """And this."""
