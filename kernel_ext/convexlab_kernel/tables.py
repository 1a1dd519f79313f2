"""Tables and functions of a deployment, as `db` shows them.

A table is read in pages with the deployment's key, and written by imports: many
documents in few requests, checked by the schema, past the limits of a mutation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import to_stored
from convexlab_kernel import display, importing, reads
from convexlab_kernel.progress import bar
from convexlab_kernel.results import Documents, to_arrow, to_pandas, to_polars
from convexlab_kernel.signatures import edit_of
from convexlab_kernel.sql import run_sql
from convexlab_kernel.tracebacks import edge
from convexlab_kernel.views import seconds_back

if TYPE_CHECKING:
    from datetime import timedelta

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from convexlab_kernel.client import Database
    from convexlab_kernel.importing import Mode
    from convexlab_kernel.live import Live
    from convexlab_kernel.sql_rows import SqlRows
    from convexlab_kernel.status import Status, TableStatus

DATA = "_system/cli/tableData"


class Queries(Protocol):
    """Whatever runs queries: a deployment, or one as of a moment."""

    def query(self, ref: str, args: Mapping[str, Any], /) -> Any:
        """Run a query and return its value."""


class Rows:
    """A table's documents, read in pages.

    Args:
        queries: what runs the queries.
        name: the table's name.
    """

    def __init__(self, queries: Queries, name: str) -> None:
        self._queries = queries
        self.name = name

    @edge
    def take(self, limit: int, *, order: str = "desc") -> Documents:
        """The newest (or oldest) documents."""
        return self._documents(limit, order)

    @edge
    def collect(self) -> Documents:
        """All documents, oldest first."""
        return self._documents(None, "asc")

    def df(self) -> pd.DataFrame:
        """All documents as a pandas frame."""
        return to_pandas(self.collect())

    def arrow(self) -> pa.Table:
        """All documents as a pyarrow table."""
        return to_arrow(self.collect())

    def polars(self) -> pl.DataFrame:
        """All documents as a polars frame."""
        return to_polars(self.collect())

    def __len__(self) -> int:
        return len(self.collect())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._read(None, "asc")

    def _documents(self, limit: int | None, order: str) -> Documents:
        found = Documents(self._read(limit, order))
        found.as_of = self._as_of()
        return found

    def _as_of(self) -> float:
        """Of when its documents are, in milliseconds since 1970."""
        return time.time() * 1e3

    def _read(self, limit: int | None, order: str) -> Iterator[dict[str, Any]]:
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = min(left or knobs.READ_PAGE_DOCUMENTS, knobs.READ_PAGE_DOCUMENTS)
            page = self._queries.query(DATA, self._page(cursor, size, order))
            yield from page["page"]
            if page["isDone"]:
                return
            cursor = page["continueCursor"]
            left = None if left is None else left - len(page["page"])

    def _page(self, cursor: str | None, size: int, order: str) -> dict[str, Any]:
        return {
            "table": self.name,
            "order": order,
            "paginationOpts": {"cursor": cursor, "numItems": size},
        }


class Table(Rows):
    """A table's documents, now: read, followed and written.

    Args:
        database: whose table.
        name: its name.
        edit: how its cells are edited on the page; None: they are not.
        back: how many seconds back its slider reaches; None: there is none.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        *,
        edit: dict[str, Any] | None = None,
        back: float | None = None,
    ) -> None:
        super().__init__(database, name)
        self._database = database
        self._edit = edit
        self._back = back

    @edge
    def edit(self, mutation: str) -> Table:
        """The same table, with cells that can be edited on the page.

        Args:
            mutation: what takes a document's id and its fields: cells of the fields
                that it takes can be edited.

        Raises:
            NotFound: there is no such mutation.
            InvalidArguments: it cannot edit cells.
        """
        shape = edit_of(self._database, mutation)
        return Table(self._database, self.name, edit=shape, back=self._back)

    @edge
    def history(self, back: timedelta | float = 3600.0) -> Table:
        """The same table, with a slider through its past on the page.

        Args:
            back: how far the slider reaches: a timedelta, or seconds.
        """
        seconds = seconds_back(back)
        return Table(self._database, self.name, edit=self._edit, back=seconds)

    # -- reading -----------------------------------------------------------------

    @edge
    def watch(self, *, limit: int = 100) -> Live:
        """The newest documents as a live result."""
        self._database.attachment.need_admin("Watching a table")
        return self._database._watch(  # noqa: SLF001 - its own other half
            f"{DATA}:default", to_stored(self._page(None, limit, "desc")), select="page"
        )

    def df(self) -> pd.DataFrame:
        """All documents as a pandas frame, oldest first."""
        return self._all().df()

    def arrow(self) -> pa.Table:
        """All documents as a pyarrow table, oldest first."""
        return self._all().arrow()

    def polars(self) -> pl.DataFrame:
        """All documents as a polars frame, oldest first."""
        return self._all().polars()

    def _read(self, limit: int | None, order: str) -> Iterator[dict[str, Any]]:
        self._database.reads_table(self.name)
        return super()._read(limit, order)

    def _all(self) -> SqlRows:
        self._database.reads_table(self.name)
        name = self.name.replace('"', '""')
        text = f'SELECT * FROM "{name}" ORDER BY "_creationTime", _id'  # noqa: S608 - quoted
        # N.B. not `sql`, which a live cell would follow with all of the rows.
        return run_sql(self._database.attachment, text, ())

    def count(self) -> int | None:
        """How many documents there are."""
        self._database.reads_table(self.name)
        found = self._status()
        return found.count if found is not None else None

    def __len__(self) -> int:
        count = self.count()
        return super().__len__() if count is None else count

    def _status(self) -> TableStatus | None:
        tables = self._database.status().tables
        return next((table for table in tables if table.name == self.name), None)

    # -- writing -----------------------------------------------------------------

    @edge
    def insert(
        self, data: Any, *, missing: str = "absent", progress: bool = True
    ) -> int:
        """Insert a data frame, a dict, or dicts, and return how many documents.

        Args:
            data: the rows. Times become milliseconds.
            missing: what a missing cell becomes: an "absent" field, or "null".
            progress: whether a bar shows how far it is, when it takes a while.
        """
        rows, batches = importing.batches_of(data, missing=missing)
        return self._import(batches, rows=rows, mode="append", progress=progress)

    @edge
    def clear(self) -> None:
        """Delete all documents; the table and its schema stay."""
        self._import(iter(()), rows=0, mode="replace", progress=False)

    @edge
    def rename(self, name: str) -> Table:
        """Give the table another name; documents keep their ids, and indexes stay.

        Not while the schema speaks of it, or of the new name: change the schema first.

        Returns:
            The table under its new name.
        """
        body = {"table": self.name, "name": name}
        self._change("Renaming a table", "/api/convexlab/rename_table", body)
        return Table(self._database, name)

    @edge
    def drop(self) -> None:
        """Take the table away with all its documents; not while the schema has it."""
        body = {"tableNames": [self.name]}
        self._change("Dropping a table", "/api/delete_tables", body)

    def _change(self, what: str, path: str, body: dict[str, Any]) -> None:
        reads.writing("a change")
        attachment = self._database.attachment
        attachment.need_admin(what)
        attachment.post(path, msgspec.json.encode(body))

    def _import(
        self,
        batches: Iterator[importing.Batch],
        *,
        rows: int | None,
        mode: Mode,
        progress: bool,
    ) -> int:
        reads.writing("a write")
        attachment = self._database.attachment
        if not progress:
            return importing.insert(attachment, self.name, batches, mode=mode)
        with bar(self.name, rows) as shown:
            return importing.insert(
                attachment, self.name, batches, mode=mode, progress=shown
            )

    # -- showing -----------------------------------------------------------------

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The whole table on the page, row by row as one looks; else its newest rows."""
        view = self._database._whole_table(  # noqa: SLF001 - its own other half
            self.name, self._edit
        )
        if self._back is not None:
            view = view.history(self._back)
        view.wait_to_show()
        rows, total = self.take(knobs.STATIC_ROWS), self.count()
        note = f"{self.name} {view.note()}"
        data, meta = view.page_bundle()
        data["text/html"] = display.table_html(rows, total=total, note=note)
        data["text/plain"] = display.table_text(rows, total=total, note=note)
        return data, meta

    def __repr__(self) -> str:
        return f"<table {self.name} of {self._database.name}>"


class Tables(Mapping[str, Table]):
    """A deployment's tables by name."""

    def __init__(self, database: Database, status: Status) -> None:
        self._database = database
        self._tables = {table.name: table for table in status.tables}

    def __getitem__(self, name: str) -> Table:
        if name not in self._tables:
            raise KeyError(name)
        return Table(self._database, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "table": table.name,
                "documents": "" if table.count is None else table.count,
                "indexes": ", ".join(map(_index_name, table.indexes)),
            }
            for table in self._tables.values()
        ]

    def _repr_html_(self) -> str:
        return display.table_html(self._rows(), what="tables")

    def __repr__(self) -> str:
        return display.table_text(self._rows(), what="tables")


def _index_name(index: Any) -> str:
    return str(index.get("name", "")) if isinstance(index, dict) else str(index)
