"""SQL over HTTP, for the owner: rows as an Arrow stream, or as JSON.

    POST /api/convexlab/sql   {"sql", "params", "ts", "format"} ─▶ the rows
                              {…, "limit"} ─▶ the first of them
                              {"sql", "of": {"sql", "params"}, …} ─▶ some of the rows of
                                                                    another statement

The statement is read and run by the index keeper, as of one timestamp, which the
answer names with the tables that it read. Rows cross as Arrow made them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from aiohttp import web

from convexlab import knobs
from convexlab.errors import InvalidArguments, OutOfRetention
from convexlab.followers.columnar.sql import SqlRequest, answer_of
from convexlab.followers.columnar.windows import WindowRequest

if TYPE_CHECKING:
    from convexlab.functions.processes.supervisor import Supervisor
    from convexlab.web.server import Door

ARROW = "application/vnd.apache.arrow.stream"


class Answered(msgspec.Struct, frozen=True):
    """A statement whose rows are asked about.

    Args:
        sql: one SELECT statement.
        params: an array (`?`, `$1`) or an object (`$name`) of values, as stored.
    """

    sql: str
    params: msgspec.Raw = msgspec.Raw(b"[]")


class Changed(msgspec.Struct, frozen=True):
    """What became of a table's documents.

    Args:
        table: its name.
        since: the earlier moment, in digits; the later one is the request's `ts`.
    """

    table: str
    since: str


class Asked(msgspec.Struct, frozen=True):
    """The body of a request.

    Args:
        sql: one SELECT statement.
        params: an array (`?`, `$1`) or an object (`$name`) of values, as stored.
        ts: as of when, in digits; None: now.
        format: `arrow`, or `json` for values as stored.
        documents: whether tables have `_doc`, the whole document, as a column too; with
            `json` only.
        limit: how many rows are wanted at most, the first ones; None: all. Not with `of`
            and `changes`, whose `sql` says it.
        of: the statement whose rows `sql` reads, as the table `rows` with their places
            in `_place`; they are kept for a while, so that parts of them fit together.
            With `json` only.
        changes: the same, but `rows` are what has changed in a table: `change`, and the
            document's stored text `before` and `after`.
    """

    sql: str
    params: msgspec.Raw = msgspec.Raw(b"[]")
    ts: str | None = None
    format: Literal["arrow", "json"] = "arrow"
    documents: bool = False
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    of: Answered | None = None
    changes: Changed | None = None


class Sql:
    """The endpoint of one deployment.

    Args:
        supervisor: its processes.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def add_to(self, door: Door) -> None:
        """Answer at the door."""

        async def answer(request: web.BaseRequest) -> web.Response:
            await door.api.admin(request)
            return await self.run(request)

        door.add("POST", "/api/convexlab/sql", answer)

    async def run(self, request: web.BaseRequest) -> web.Response:
        """Run one statement.

        Raises:
            InvalidArguments: the body is something else.
            InvalidQuery: the statement cannot be run.
            NotFound: it names a table that is not there.
            OutOfRetention: `ts` is too old, or has not come yet.
            FollowerBehind: the mirror is not that far yet.
        """
        try:
            asked = msgspec.json.decode(await request.read(), type=Asked)
        except msgspec.MsgspecError as error:
            raise InvalidArguments(
                f"The body is not what this takes: {error}"
            ) from None
        is_arrow = asked.format == "arrow"
        body = _question(asked)
        if asked.ts is None:
            told, at = await self._ask_now(body)
        else:
            at = self._timestamp(asked.ts)
            told = await self._ask(body, at)
        return web.Response(
            body=answer_of(told).rows,
            content_type=ARROW if is_arrow else "application/json",
            headers={"Convexlab-Ts": str(at)},
        )

    async def _ask_now(self, body: bytes) -> tuple[bytes, int]:
        """The newest answer, and as of when it is.

        A mirror that is built for this very question begins where the store is then,
        so later than "now" was: it is asked again for a "now" that it knows.
        """
        while True:
            at = self._supervisor.ts
            try:
                return await self._ask(body, at), at
            except OutOfRetention:
                if self._supervisor.ts == at:
                    raise

    async def _ask(self, body: bytes, at: int) -> bytes:
        return await self._supervisor.keeping.ask(
            "columnar",
            body,
            at=at,
            patience_seconds=knobs.FOLLOWER_QUERY_SECONDS,
        )

    def _timestamp(self, ts: str) -> int:
        newest = self._supervisor.ts
        if not ts.isdecimal():
            raise InvalidArguments(f"`ts` is a timestamp in digits, not {ts!r}.")
        if int(ts) > max(newest, time.time_ns()):
            raise OutOfRetention(f"{ts} has not come yet: the newest is {newest}.")
        # Between the newest commit and this moment it is as that commit left it.
        return min(int(ts), newest)


def _question(asked: Asked) -> bytes:
    """What the mirror is asked."""
    is_arrow = asked.format == "arrow"
    params = bytes(asked.params).decode()
    window = _window(asked, params)
    if window is None:
        documents = asked.documents and not is_arrow
        plain = SqlRequest(
            asked.sql, params, is_arrow, documents=documents, limit=asked.limit
        )
        return b"sql\n" + msgspec.msgpack.encode(plain)
    if asked.limit is not None:
        raise InvalidArguments(
            "Of the rows of a statement, `sql` says how many: SELECT … LIMIT."
        )
    if is_arrow:
        raise InvalidArguments(
            "The rows of a statement are read as JSON, not as Arrow."
        )
    return b"window\n" + msgspec.msgpack.encode(window)


def _window(asked: Asked, params: str) -> WindowRequest | None:
    """A statement over the rows of another one, or over a table's changes."""
    if asked.changes is not None:
        table, since = asked.changes.table, asked.changes.since
        if not since.isdecimal():
            raise InvalidArguments(f"`since` is a timestamp in digits, not {since!r}.")
        return WindowRequest(asked.sql, table, params, since=int(since))
    if asked.of is not None:
        of_params = bytes(asked.of.params).decode()
        return WindowRequest(asked.sql, asked.of.sql, params, of_params)
    return None
