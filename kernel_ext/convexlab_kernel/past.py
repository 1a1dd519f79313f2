"""The past: a deployment as of a moment, and a document's revisions.

    db.at(timedelta(hours=1)).query("tasks:list")
    db.at(live.ts).table("tasks").df()
    db.history("tasks", id)

The functions, the schema and the documents are those of the moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_stored
from convexlab.documents.moment import time_of
from convexlab.errors import NotFound
from convexlab_kernel import display
from convexlab_kernel.results import Documents
from convexlab_kernel.tables import Rows
from convexlab_kernel.tracebacks import edge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from convexlab_kernel.sql_rows import SqlRows


class Moment:
    """A deployment as of a timestamp; it only reads.

    Args:
        ts: the timestamp.
        query_at: runs a query as of it.
        sql_at: runs a statement as of it.
    """

    def __init__(
        self,
        ts: int,
        query_at: Callable[..., Any],
        sql_at: Callable[..., SqlRows],
    ) -> None:
        self.ts = ts
        self._query_at = query_at
        self._sql_at = sql_at

    @edge
    def query(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run a query as of the moment and return its value."""
        try:
            return self._query_at(self.ts, ref, args, **kwargs)
        except NotFound as error:
            error.add_note(f"It was asked for as of {shown(self.ts)}.")
            raise

    @edge
    def sql(
        self, text: str, /, *, params: Sequence[Any] | Mapping[str, Any] = ()
    ) -> SqlRows:
        """Run one SELECT as of the moment; see `Database.sql`.

        Tables have the names that they have now.
        """
        try:
            return self._sql_at(self.ts, text, params)
        except NotFound as error:
            error.add_note(
                f"It was asked for as of {shown(self.ts)}: SQL knows the tables that there "
                "are now, by their names of now; `db.at(…).table(…)` those of then."
            )
            raise

    def table(self, name: str) -> PastTable:
        """A table's documents as of the moment."""
        return PastTable(self, name)

    def __repr__(self) -> str:
        return f"<as of {shown(self.ts)}>"


class PastTable(Rows):
    """A table's documents as of a moment.

    Args:
        moment: when.
        name: the table's name.
    """

    def __init__(self, moment: Moment, name: str) -> None:
        super().__init__(moment, name)
        self._moment = moment

    def _as_of(self) -> float:
        return self._moment.ts / 1e6

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = self.take(knobs.STATIC_ROWS)
        note = f"the newest of {self.name} as of {shown(self._moment.ts)}"
        return {
            "text/html": display.table_html(rows, note=note),
            "text/plain": display.table_text(rows, note=note),
        }

    def __repr__(self) -> str:
        return f"<table {self.name} as of {shown(self._moment.ts)}>"


class PastRevision(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """One revision as `GET /api/convexlab/history` tells it."""

    from_: str
    document: msgspec.Raw
    to: str | None = None


class PastRevisions(msgspec.Struct, frozen=True):
    """What `GET /api/convexlab/history` answers."""

    revisions: list[PastRevision]


class History(Documents):
    """A document's revisions, oldest first: each `from`, `to` and `document`.

    Shown with the fields that were not always the same first.
    """

    what = "revisions"

    def _lines(self) -> list[dict[str, Any]]:
        fields = _changed_first([one["document"] for one in self])
        return [
            {
                # Two words: no field of a document is called so.
                "valid from": _moment(one["from"]),
                "valid to": "now" if one["to"] is None else _moment(one["to"]),
                **{name: one["document"].get(name, "") for name in fields},
            }
            for one in self
        ]


def _changed_first(documents: list[dict[str, Any]]) -> list[str]:
    """The fields of a document's revisions, but its id and time."""
    names = dict.fromkeys(name for each in documents for name in each)
    own = [name for name in names if not name.startswith("_")]
    missing = object()
    first = documents[0] if documents else {}
    same = {
        name: all(each.get(name, missing) == first.get(name) for each in documents)
        for name in own
    }
    return sorted(own, key=same.__getitem__)


def _moment(when: datetime) -> str:
    return display.moment(when.timestamp() * 1e3)


def history_of(said: PastRevisions) -> History:
    """Revisions as the notebook gets them."""
    return History(
        {
            "from": time_of(int(one.from_)),
            "to": None if one.to is None else time_of(int(one.to)),
            "document": from_stored(bytes(one.document)),
        }
        for one in said.revisions
    )


def shown(ts: int) -> str:
    """A timestamp for people."""
    return display.moment(ts / 1e6)
