"""`db`: a deployment in Python's hands.

    import convexlab
    db = convexlab.connect()
    db.query("tasks:list", done=False)
    db.tasks.create(text="hi")
    live = db.watch("tasks:list")

Calls block; failures are the classes of `convexlab.errors`. It holds nothing of
the deployment but its address and, once something is watched, one WebSocket.
"""

from __future__ import annotations

import base64
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import msgspec

from convexlab.documents.encoding import to_stored
from convexlab.documents.moment import ts_of
from convexlab.documents.references import wire_name
from convexlab_kernel import discovery, reads
from convexlab_kernel.attachment import Attachment
from convexlab_kernel.calls import STATUS, Calls
from convexlab_kernel.followed import LiveResult
from convexlab_kernel.functions import LIST as LIST_FUNCTIONS, Functions
from convexlab_kernel.link import Link
from convexlab_kernel.live import Live
from convexlab_kernel.past import History, Moment, PastRevisions, history_of
from convexlab_kernel.references import Reference, arguments_of, path_of
from convexlab_kernel.sql import LIVE as LIVE_SQL, run_sql, sql_arguments
from convexlab_kernel.statement import VERSION, StatementPages
from convexlab_kernel.status import Status
from convexlab_kernel.tables import Table, Tables
from convexlab_kernel.tracebacks import edge
from convexlab_kernel.uploading import upload_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from convexlab_kernel.discovery import Address
    from convexlab_kernel.sql_rows import SqlRows

_encode = msgspec.json.Encoder().encode
# The system's queries that a page may follow: its user owns the deployment.
TABLE_VERSION = "_system/cli/queryTable:default"
PAGES_QUERIES = frozenset({TABLE_VERSION, LIVE_SQL, VERSION})


@edge
def connect(
    target: str | None = None,
    *,
    admin_key: str | None = None,
    token: str | None = None,
) -> Database:
    """Connect to a deployment; a local one is started where it does not run.

    Args:
        target: a deployment's name or URL; without it, as `%convex` finds it.
        admin_key: the key of a remote deployment (else `$CONVEXLAB_ADMIN_KEY`).
        token: a user's token, to act as that user.
    """
    address = discovery.connect(target)
    authorization = None
    if token is not None:
        authorization = f"Bearer {token}"
    elif admin_key is not None:
        authorization = f"Convex {admin_key}"
    return Database(address, authorization=authorization)


class Database:
    """A deployment: its functions, tables and live results.

    Args:
        address: where it is.
        authorization: the header to send instead of the address's own key.
        identity: the user to act as, with the deployment's key.
    """

    def __init__(
        self,
        address: Address,
        *,
        authorization: str | None = None,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self._authorization = authorization
        self._identity = identity
        self._attachment = Attachment(
            address, authorization=_acting(self._key(address), identity)
        )
        self._calls = Calls(self._attachment)
        self._link: Link | None = None

    def _key(self, address: Address) -> str | None:
        if self._authorization is not None:
            return self._authorization
        return f"Convex {address.admin_key}" if address.admin_key else None

    # -- calling functions -------------------------------------------------------

    @edge
    def query(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run a query and return its value."""
        path, arguments = path_of(ref), arguments_of("db.query(ref, …)", args, kwargs)
        if not path.startswith("_system/"):
            reads.reading(self, path, arguments, path)
        return self._calls.run("/api/query", path, arguments)

    @edge
    def mutation(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run a mutation and return its value."""
        reads.writing("a mutation")
        return self._calls.run(
            "/api/mutation",
            path_of(ref),
            arguments_of("db.mutation(ref, …)", args, kwargs),
        )

    @edge
    def action(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run an action and return its value."""
        reads.writing("an action")
        return self._calls.run(
            "/api/action", path_of(ref), arguments_of("db.action(ref, …)", args, kwargs)
        )

    @edge
    def run(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Any:
        """Run a function of any kind and return its value."""
        path, arguments = path_of(ref), arguments_of("db.run(ref, …)", args, kwargs)
        if reads.is_recording():
            self._note_run(path, arguments)
        if self._attachment.admin:
            return self._calls.run("/api/function", path, arguments)
        module, _, function = path.partition(":")
        return self._calls.run(
            f"/api/run/{module}/{function or 'default'}", path, arguments
        )

    @edge
    def watch(
        self, ref: Any, args: Mapping[str, Any] | None = None, /, **kwargs: Any
    ) -> Live:
        """Follow a query: a live result."""
        return self._watch(path_of(ref), arguments_of("db.watch(ref, …)", args, kwargs))

    def _note_run(self, path: str, arguments: bytes) -> None:
        """A live cell runs a function: it follows a query, and nothing else may it."""
        found = self.functions.get(path) if self._attachment.admin else None
        kind = found.kind if found is not None else None
        if kind is not None and kind.endswith("query"):
            reads.reading(self, path, arguments, path)
        else:
            reads.writing(f"`{path}`, {f'a {kind}' if kind else 'of a kind not known'}")

    def follow(
        self, path: str, arguments: bytes, *, select: str | None = None
    ) -> LiveResult:
        """Follow a query, without a view."""
        if self._link is None:
            self._link = self._new_link()
        return LiveResult(self._link, path, arguments, select=select)

    def reads_table(self, name: str) -> None:
        """Whoever runs just now reads this table."""
        version = to_stored({"tableName": name})
        reads.reading(self, TABLE_VERSION, version, f"table {name}")

    def _watch(self, path: str, arguments: bytes, *, select: str | None = None) -> Live:
        result = self.follow(path, arguments, select=select)
        public = self.is_pages_own and (
            not path.startswith("_system/") or path in PAGES_QUERIES
        )
        return Live(result, database=self, public=public and select is None)

    def _whole_table(self, name: str, edit: dict[str, Any] | None) -> Live:
        """A table's version as a live result: its view reads the rows by itself."""
        version = self._watch(TABLE_VERSION, to_stored({"tableName": name}))
        return version.stored_table(name, edit)

    @property
    def is_pages_own(self) -> bool:
        """Whether Jupyter's pages reach this deployment, as whom it is reached here."""
        folder = self.address.folder
        here = folder is None or folder.name == discovery.DEFAULT_NAME
        return here and self._authorization is None and self._identity is None

    def _new_link(self) -> Link:
        key = self._key(self._attachment.address) or ""
        scheme, _, token = key.partition(" ")
        identity: dict[str, Any] | None = None
        if scheme == "Convex":
            identity = {"tokenType": "Admin", "value": token}
            if self._identity is not None:
                identity["impersonating"] = self._identity
        elif scheme == "Bearer":
            identity = {"tokenType": "User", "value": token}
        return Link(
            self._attachment.refresh, identity=identity, admin=scheme == "Convex"
        )

    # -- what is there -----------------------------------------------------------

    @property
    def name(self) -> str:
        """What the deployment is called."""
        return self._attachment.name

    @property
    def url(self) -> str:
        """The address for clients in a browser or in Node."""
        return self._attachment.address.client_url

    @property
    def address(self) -> Address:
        """Where the deployment is."""
        return self._attachment.address

    @property
    def attachment(self) -> Attachment:
        """The requests to the deployment."""
        return self._attachment

    @property
    @edge
    def tables(self) -> Tables:
        """The deployment's tables by name."""
        return Tables(self, self.status())

    @property
    @edge
    def functions(self) -> Functions:
        """The deployment's functions by path, with what they take, give and say."""
        status = self.status()  # needs the deployment's key, and says so
        told = self._calls.run("/api/query", LIST_FUNCTIONS, to_stored({}))
        return Functions(told, status, self.run)

    @property
    def api(self) -> Reference:
        """The functions as attributes: `db.api.tasks.create(text="hi")`."""
        return Reference(self)

    def table(self, name: str) -> Table:
        """A table's documents."""
        return Table(self, name)

    def status(self) -> Status:
        """What the deployment says of itself."""
        self._attachment.need_admin("The status")
        return self._attachment.get(STATUS, Status)

    def as_user(self, **identity: Any) -> Database:
        """The same deployment, acting as a user: `as_user(subject="ann")`."""
        self._attachment.need_admin("Acting as a user")
        said = {"issuer": "https://convexlab.local", **identity}
        return Database(self.address, authorization=self._authorization, identity=said)

    @edge
    def sql(
        self, text: str, /, *, params: Sequence[Any] | Mapping[str, Any] = ()
    ) -> SqlRows:
        """Run one SELECT over the deployment's tables, named as in the schema.

        Args:
            text: the statement, in DuckDB's SQL.
            params: a list for `?` or `$1`, or a dict for `$name`.

        Returns:
            The rows: they show as a table and have `.df()`, `.arrow()`, `.polars()`,
            and `.watch()` for rows that stay current.
        """
        if reads.is_recording():
            label = f"SQL ({textwrap.shorten(text, 40, placeholder='…')})"
            reads.reading(self, LIVE_SQL, sql_arguments(text, params), label)
        return run_sql(self._attachment, text, params, pages=StatementPages(self))

    @edge
    def at(self, when: datetime | timedelta | int) -> Moment:
        """The deployment as of a moment: `db.at(timedelta(hours=1)).query(…)`.

        Args:
            when: an aware datetime, a timedelta back from now, or a live result's
                `ts`.
        """
        return Moment(ts_of(when), self._query_at, self._sql_at)

    @edge
    def history(self, table: str, id: str) -> History:  # noqa: A002 - its name
        """The revisions of a document that are kept, newest last.

        Args:
            table: the document's table.
            id: the document's id; it may have been deleted.
        """
        self._attachment.need_admin("A document's history")
        asked = urlencode({"table": table, "id": id})
        path = f"/api/convexlab/history?{asked}"
        return history_of(self._attachment.get(path, PastRevisions))

    def _sql_at(
        self, ts: int, text: str, params: Sequence[Any] | Mapping[str, Any]
    ) -> SqlRows:
        return run_sql(
            self._attachment, text, params, ts=ts, pages=StatementPages(self)
        )

    def _query_at(
        self,
        ts: int,
        ref: Any,
        args: Mapping[str, Any] | None = None,
        /,
        **kwargs: Any,
    ) -> Any:
        arguments = arguments_of("db.at(…).query(ref, …)", args, kwargs)
        return self._calls.run("/api/query_at_ts", path_of(ref), arguments, ts=ts)

    @edge
    def upload(self, path: str | Path, *, content_type: str | None = None) -> str:
        """Store a file of this machine in the deployment.

        Args:
            path: the file.
            content_type: with which it is served; None: by the file's name.

        Returns:
            Its storage id, for `ctx.storage.get_url` and the like.
        """
        self._attachment.need_admin("Uploading a file")
        return upload_file(self._attachment, Path(path), content_type)

    def close(self) -> None:
        """Close the connections; the deployment runs on."""
        if self._link is not None:
            self._link.close()
            self._link = None
        self._attachment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("_"):
            raise AttributeError(name)
        return Reference(self, (wire_name(name),))

    def __repr__(self) -> str:
        return f"<convexlab deployment {self.name} at {self._attachment.address.url}>"


def _acting(key: str | None, identity: Mapping[str, Any] | None) -> str | None:
    if key is None or identity is None:
        return key
    return f"{key}:{base64.b64encode(_encode(identity)).decode()}"
