"""Names that only annotations use: `Id.users`, `Doc`, `PaginationOpts`, `PaginationResult`."""

from __future__ import annotations

import typing
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    NotRequired,
    TypeAlias,
    TypedDict,
    TypeVar,
)

if TYPE_CHECKING:
    Doc: TypeAlias = dict[str, Any]

T = TypeVar("T")


class IdType(type):
    """Makes `Id.users` and `Id["users"]` the class of ids of that table."""

    _made: typing.ClassVar[dict[str, type]] = {}

    def __getattr__(cls, table: str) -> Any:
        if table.startswith("__"):
            raise AttributeError(table)
        return cls[table]

    def __getitem__(cls, table: str) -> Any:
        made = IdType._made.get(table)
        if made is None:
            made = IdType._made[table] = IdType(f"Id.{table}", (str,), {"table": table})
        return made


class Id(str, metaclass=IdType):  # noqa: SLOT000 - a name for annotations, never an instance
    """The id of a document: `Id.users` is the annotation for an id of that table."""

    table: typing.ClassVar[str | None] = None


if not TYPE_CHECKING:

    class Doc(dict):
        """A document, as an annotation: any object."""


class PaginationOpts(TypedDict):
    """What `usePaginatedQuery` sends as `paginationOpts`."""

    numItems: int
    cursor: str | None
    endCursor: NotRequired[str | None]
    id: NotRequired[float]
    maximumRowsRead: NotRequired[float]
    maximumBytesRead: NotRequired[float]


class PaginationResult(TypedDict, Generic[T]):
    """What `.paginate(…)` returns and `usePaginatedQuery` expects."""

    page: list[T]
    isDone: bool
    continueCursor: str
    splitCursor: NotRequired[str | None]
    pageStatus: NotRequired[Literal["SplitRecommended", "SplitRequired"] | None]
