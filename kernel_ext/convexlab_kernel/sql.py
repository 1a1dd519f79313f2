"""`db.sql`: one statement, run by the deployment as of one moment.

    db.sql("select carrier, count(*) n from flights group by 1").df()

What is wrong with it is said at once, and its first rows come at once. Of a long answer
the others stay where they are until Python asks for them: whoever only looks at it has
no million rows sent to the kernel (see `sql_rows`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import to_stored
from convexlab.documents.value import normalize
from convexlab.errors import FollowerBehind, InvalidArguments, OutOfRetention
from convexlab_kernel.sql_rows import SqlRows

if TYPE_CHECKING:
    from convexlab_kernel.attachment import Attachment
    from convexlab_kernel.live import Live
    from convexlab_kernel.sql_rows import OnPage

T = TypeVar("T")
PATH = "/api/convexlab/sql"
LIVE = "_system/sql/rows:default"


class Pages(Protocol):
    """What shows a statement's rows on the page, by its arguments as stored JSON."""

    def live(self, arguments: bytes) -> Live:
        """The rows as they change."""

    def of_a_moment(self, arguments: bytes, ts: int) -> OnPage | None:
        """The rows as of a timestamp; None: they are few, whatever the tables hold."""


def run_sql(
    attachment: Attachment,
    text: str,
    params: Sequence[Any] | Mapping[str, Any],
    *,
    ts: int | None = None,
    pages: Pages | None = None,
) -> SqlRows:
    """Run one statement with the deployment's key.

    Args:
        attachment: to the deployment.
        text: one SELECT statement.
        params: for `?` or `$1` in order, or for `$name` by name.
        ts: as of when; None: now.
        pages: shows its rows on the page; None: they are for Python only, and come at
            once.

    Raises:
        InvalidArguments: the parameters are neither a list nor a dict of values.
        InvalidQuery: it cannot be run, in DuckDB's words.
    """
    attachment.need_admin("SQL")
    arguments = sql_arguments(text, params)
    asked: dict[str, Any] = {"sql": text, "params": msgspec.Raw(_params(params))}
    if ts is not None:
        asked["ts"] = str(ts)
    first = asked if pages is None else asked | {"limit": knobs.SQL_FIRST_ROWS + 1}
    said = once_it_is_there(
        partial(attachment.answer, PATH, msgspec.json.encode(first))
    )
    as_of = time.time() * 1e3 if ts is None else ts / 1e6
    if pages is None or said.ts is None:
        return SqlRows(said.body, as_of=as_of)
    return SqlRows(
        said.body,
        all_of_them=partial(_all_of_them, attachment, asked | {"ts": str(said.ts)}),
        watch=partial(pages.live, arguments) if ts is None else None,
        page=pages.of_a_moment(arguments, said.ts),
        as_of=as_of,
    )


def _all_of_them(attachment: Attachment, asked: dict[str, Any]) -> bytes:
    """All rows, as of when the first ones are."""
    try:
        return attachment.post(PATH, msgspec.json.encode(asked))
    except OutOfRetention as error:
        error.add_note(
            f"The rows behind the first {knobs.SQL_FIRST_ROWS:,} are fetched when they are "
            "asked for: run db.sql(…) again."
        )
        raise


def once_it_is_there(ask: Callable[[], T]) -> T:
    """What is answered; the first statement waits for the mirror of all tables."""
    deadline = time.monotonic() + knobs.SQL_FIRST_SECONDS
    while True:
        try:
            return ask()
        except FollowerBehind as error:
            # One that failed says why, and that again and again.
            passes = str(error).endswith("Try again.")
            if not passes or time.monotonic() > deadline:
                raise


def sql_arguments(text: str, params: Sequence[Any] | Mapping[str, Any]) -> bytes:
    """The arguments of the query that follows a statement."""
    return msgspec.json.encode({"sql": text, "params": msgspec.Raw(_params(params))})


def _params(params: Sequence[Any] | Mapping[str, Any]) -> bytes:
    if isinstance(params, str | bytes) or not isinstance(params, Sequence | Mapping):
        raise InvalidArguments(
            f"`params` is a list for `?`, or a dict for `$name`, not {params!r}."
        )
    given = dict(params) if isinstance(params, Mapping) else list(params)
    return to_stored(normalize(given, "params"))
