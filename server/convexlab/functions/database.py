"""`ctx.db`: documents by id, queries, and in mutations writes.

All calls are synchronous. While one runs the engine has the floor: the user's
clock stops and nothing is refused (`Execution.leave`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, overload

from convexlab.documents.ids import decode_id
from convexlab.documents.validator import belongs
from convexlab.documents.value import Int64
from convexlab.errors import InvalidArguments, InvalidValue, NotAllowed
from convexlab.functions import by_id
from convexlab.functions.plan import Plan
from convexlab.functions.query import Query
from convexlab.functions.sql import run_sql

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.functions.execution import Execution
    from convexlab.functions.sql import Params

_READABLE_SYSTEM_TABLES: Final = ("_storage", "_scheduled_functions", "_cron_jobs")


class _Reader:
    """What `ctx.db` and `ctx.db.system` have in common."""

    __slots__ = ("_execution",)

    _where = "ctx.db"
    _is_system = False

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @overload
    def get(self, id: str, /) -> dict[str, Any] | None: ...

    @overload
    def get(self, table: str, id: str, /) -> dict[str, Any] | None: ...

    def get(self, *args: Any) -> dict[str, Any] | None:
        """A document, or None if there is none.

        Args:
            args: the id, or the table and the id, which is then checked to be of it.
        """
        return by_id.get(self._execution, args)

    def query(self, table: str, /) -> Query:
        """A query over a table; nothing is read yet.

        N.B. the user keeps the floor: to take it and to give it back would cost more.
        """
        self._check_table(table, "query")
        info = self._execution.tx.table(table)
        index = None if info is None else info.by_creation_time
        return Query(self._execution, Plan(table, info, index))

    def normalize_id(self, table: str, id: str, /) -> str | None:  # noqa: A002 - Convex's name
        """The id if the text is one of that table, else None; the document need not exist."""
        execution = self._execution
        execution.leave()
        try:
            self._check_table(table, "normalize_id")
            info = execution.tx.table(table)
            try:
                number = decode_id(id)[0]
            except (InvalidValue, TypeError, AttributeError):
                return None
            is_its = info is not None and belongs(
                number, table, execution.tx.catalog.table_numbers
            )
            return id if is_its else None
        finally:
            execution.enter()

    def _check_table(self, table: object, method: str) -> None:
        if not isinstance(table, str):
            raise InvalidArguments(
                f"`{self._where}.{method}` takes a table's name, not {table!r}."
            )
        raise NotImplementedError


class SystemReader(_Reader):
    """`ctx.db.system`: the system tables that functions may read."""

    __slots__ = ()

    _where = "ctx.db.system"
    _is_system = True

    def _check_table(self, table: object, method: str) -> None:
        if table not in _READABLE_SYSTEM_TABLES:
            if isinstance(table, str) and not table.startswith("_"):
                raise NotAllowed(
                    f"User tables can only be accessed from db.{method}()."
                )
            raise NotAllowed(
                f"`{table}` is no system table that functions may read: these are {', '.join(_READABLE_SYSTEM_TABLES)}."
            )

    def get(self, *args: Any) -> dict[str, Any] | None:
        """A document of one of these tables, or None; `args` as of `ctx.db.get`."""
        execution = self._execution
        execution.leave()
        try:
            number, internal_id = by_id.decoded(self._where, "get", args)
            self._check_number(number)
            if len(args) == 2 and args[0] is not None:
                by_id.check_belongs(execution, self._where, "get", args[0], number)
            return execution.tx.get(number, internal_id)
        finally:
            execution.enter()

    def _check_number(self, number: int) -> None:
        if not by_id.is_systems(self._execution, number):
            raise NotAllowed("User tables can only be accessed with db.")
        tables = self._execution.tx.catalog.table_numbers
        self._check_table(
            next((name for name in tables if tables[name] == number), None), "get"
        )


class DatabaseReader(_Reader):
    """`ctx.db` in a query."""

    __slots__ = ()

    @property
    def system(self) -> SystemReader:
        """The system tables that functions may read."""
        return SystemReader(self._execution)

    def sql(self, text: str, /, *, params: Params = ()) -> list[dict[str, Any]]:
        """The rows of one SELECT over the tables, as of the transaction's snapshot.

        Args:
            text: DuckDB's SQL; tables have the schema's names.
            params: a list for `?` and `$1`, or a dict for `$name`.

        Raises:
            InvalidQuery: it cannot be run, in DuckDB's words.
            NotFound: it names a table that is not there.
            NotAllowed: this mutation has written to a table that it reads.
            FollowerBehind: the columnar mirror has not caught up; try again.
        """
        execution = self._execution
        execution.leave()
        try:
            return run_sql(execution, text, params)
        finally:
            execution.enter()

    def _check_table(self, table: object, method: str) -> None:
        if not isinstance(table, str):
            raise InvalidArguments(
                f"`ctx.db.{method}` takes a table's name, not {table!r}."
            )
        if table.startswith("_"):
            raise NotAllowed(
                f"System tables can only be accessed from db.system.{method}()."
            )

    def __getattr__(self, name: str) -> NoReturn:
        if name in ("insert", "patch", "replace", "delete"):
            raise NotAllowed(
                f"`ctx.db.{name}`: queries only read. Make the function a mutation."
            )
        if name == "vars":
            raise NotAllowed("`ctx.db.vars`: queries do not commit, only mutations do.")
        raise AttributeError(f"`ctx.db` has no `{name}`", name=name, obj=self)


class Vars:
    """`ctx.db.vars`."""

    __slots__ = ("_execution",)

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    @property
    def commit_ts(self) -> Int64:
        """The timestamp of this transaction's commit, in ns since 1970.

        It is after that of every commit before, and before that of every later one,
        whatever the clock says: unlike creation times it is the order of commits.
        """
        return Int64(self._execution.tx.commit_ts())


class DatabaseWriter(DatabaseReader):
    """`ctx.db` in a mutation."""

    __slots__ = ()

    @property
    def vars(self) -> Vars:
        """What is known of the commit to come."""
        return Vars(self._execution)

    def insert(self, table: str, document: Mapping[str, Any], /) -> str:
        """Inserts a document; returns its id."""
        execution = self._execution
        execution.leave()
        try:
            if not isinstance(table, str):
                raise InvalidArguments(
                    f"`ctx.db.insert` takes a table's name and a document, not {table!r}."
                )
            return execution.tx.insert(table, document)
        finally:
            execution.enter()

    @overload
    def patch(self, id: str, fields: Mapping[str, Any], /) -> None: ...

    @overload
    def patch(self, table: str, id: str, fields: Mapping[str, Any], /) -> None: ...

    def patch(self, *args: Any) -> None:
        """Sets some fields; a field that is UNDEFINED is removed."""
        by_id.patch(self._execution, args)

    @overload
    def replace(self, id: str, document: Mapping[str, Any], /) -> None: ...

    @overload
    def replace(self, table: str, id: str, document: Mapping[str, Any], /) -> None: ...

    def replace(self, *args: Any) -> None:
        """Sets all fields."""
        by_id.replace(self._execution, args)

    @overload
    def delete(self, id: str, /) -> None: ...

    @overload
    def delete(self, table: str, id: str, /) -> None: ...

    def delete(self, *args: Any) -> None:
        """Deletes a document."""
        by_id.delete(self._execution, args)
