"""A statement's rows on the page: read as one looks, however many there are.

    db.sql("select …")             of the moment when it was run
    db.sql("select …").watch()     live

The page asks the deployment for the rows in sight, sorted and filtered there, as it does
of a whole table; the deployment keeps the rows meanwhile (`/api/convexlab/sql` with
`of`). The notebook keeps the first of them, and the statement.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_stored
from convexlab.errors import ConvexlabError
from convexlab_kernel import display
from convexlab_kernel.asked import Allowed, Backend
from convexlab_kernel.followed import Later
from convexlab_kernel.live import Live
from convexlab_kernel.results import Documents
from convexlab_kernel.sql import LIVE, PATH, once_it_is_there
from convexlab_kernel.views import MIME, widget_bundle

if TYPE_CHECKING:
    from convexlab_kernel.client import Database
    from convexlab_kernel.followed import LiveResult

#: A value that is another one whenever a statement's rows may be.
VERSION: Final = "_system/sql/version:default"
_SUMMARIZE: Final = re.compile(r"\s*SUMMARIZE\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and its parameters.

    Attributes:
        database: that runs it.
        arguments: the statement as `sql` and `params`, as stored JSON.
        ts: as of when; None: now.
    """

    database: Database
    arguments: bytes
    ts: int | None = None

    @property
    def is_summary(self) -> bool:
        """Whether it is SUMMARIZE: few rows, which are not read by window."""
        return _SUMMARIZE.match(self.said["sql"]) is not None

    @property
    def said(self) -> dict[str, Any]:
        """The same as JSON says it."""
        said: dict[str, Any] = msgspec.json.decode(self.arguments)
        return said

    @property
    def backend(self) -> Backend:
        """Answers what a page asks that has no way of its own: of these rows only."""
        allowed = Allowed(queries=frozenset({VERSION}), statement=self.said)
        return Backend(self.database, allowed)

    def description(self) -> dict[str, Any]:
        """What the page needs to read them by itself."""
        of = self.said if self.ts is None else {**self.said, "ts": str(self.ts)}
        return {
            "path": VERSION,
            "args": self.said,
            "view": {"kind": "stored", "table": "rows", "of": of},
            "deployment": self.database.name,
        }

    def first(self) -> Documents:
        """The first rows.

        Raises:
            InvalidQuery: it cannot be run, or is too large to be looked at.
        """
        rows = self._ask(
            f"SELECT * EXCLUDE (_place) FROM rows LIMIT {knobs.STATIC_ROWS}"  # noqa: S608 - a number
        )
        return Documents(rows)

    def count(self) -> int:
        """How many rows there are; the errors are those of `first`."""
        (row,) = self._ask("SELECT count(*) AS n FROM rows")
        return int(row["n"])

    def _ask(self, text: str) -> list[dict[str, Any]]:
        asked = {"sql": text, "format": "json", "of": self.said}
        if self.ts is not None:
            asked["ts"] = str(self.ts)
        body = msgspec.json.encode(asked)
        post = self.database.attachment.post
        rows: Any = from_stored(once_it_is_there(lambda: post(PATH, body)))
        return list(rows)


class StatementView:
    """The rows of a statement of one moment, on the page.

    Args:
        statement: with its moment.
    """

    # Nothing is followed: they are what they were.
    followed = None

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self.backend = statement.backend

    @property
    def public(self) -> bool:
        """Whether the page may read them by itself."""
        return self._statement.database.is_pages_own

    def description(self) -> dict[str, Any]:
        """What the page needs to read them by itself."""
        return self._statement.description()

    def count(self) -> int:
        """How many rows there are."""
        return self._statement.count()

    def bundle(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The part of an output that is read on the page."""
        data, meta = widget_bundle(self)
        if self.public:
            data[MIME] = self.description()
        return data, meta


class LiveStatement(Live):
    """The rows of a statement, live: read as one looks on the page, whole in Python.

    Args:
        statement: whose rows they are.
        rows: the query that gives all of them; it is followed once Python asks.
        version: the query that says when they may be others.
        view: how it is shown, where more is said.
    """

    def __init__(
        self,
        statement: Statement,
        rows: Later,
        version: Later,
        view: dict[str, Any] | None = None,
    ) -> None:
        database = statement.database
        shown = view or statement.description()["view"]
        super().__init__(
            rows, database=database, view=shown, public=database.is_pages_own
        )
        self._statement = statement
        self._rows = rows
        self._version = version

    @property
    def path(self) -> str:
        """The query that gives all of its rows."""
        return LIVE

    @property
    def followed(self) -> LiveResult:
        """What the page is told of: that the rows may be others."""
        return self._version.result

    @property
    def backend(self) -> Backend:
        """Answers what its view asks where it has no way of its own."""
        return self._statement.backend

    def _with(self, view: dict[str, Any]) -> Live:
        if view.get("kind") != "stored":
            return super()._with(view)
        return LiveStatement(self._statement, self._rows, self._version, view)

    def description(self) -> dict[str, Any]:
        """What the page needs to follow and read the same rows by itself."""
        told = self._statement.description()
        return {**told, "view": self.view, "ts": self.followed.ts}

    def close(self) -> None:
        """Follow it no longer."""
        super().close()
        self._version.close()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, meta = self.page_bundle()
        try:
            rows, total = self._statement.first(), self._statement.count()
        except ConvexlabError as error:
            said = [(type(error).__name__, str(error))]
            data["text/html"] = display.card_html(said)
            data["text/plain"] = f"{self!r}: {type(error).__name__}: {error}"
            return data, meta
        note = f"as of {display.moment(time.time() * 1e3)}"
        told: dict[str, Any] = {"total": total, "what": "rows", "note": note}
        data["text/html"] = display.table_html(rows, **told)
        data["text/plain"] = display.table_text(rows, **told)
        return data, meta


class StatementPages:
    """Shows the rows of a deployment's statements on the page: see `sql.Pages`.

    Args:
        database: the deployment.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def live(self, arguments: bytes) -> Live:
        """The rows as they change."""
        follow = self._database.follow
        statement = Statement(self._database, arguments)
        rows = Later(partial(follow, LIVE, arguments))
        if statement.is_summary:
            public = self._database.is_pages_own
            return Live(rows, database=self._database, public=public)
        version = Later(partial(follow, VERSION, arguments))
        return LiveStatement(statement, rows, version)

    def of_a_moment(self, arguments: bytes, ts: int) -> StatementView | None:
        """The rows as of a timestamp; a summary has few."""
        statement = Statement(self._database, arguments, ts)
        return None if statement.is_summary else StatementView(statement)
