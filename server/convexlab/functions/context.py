"""Contexts: what functions are given as `ctx`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, overload

from convexlab import knobs
from convexlab.documents.value import UNDEFINED, normalize
from convexlab.errors import (
    InvalidArguments,
    InvalidValue,
    LimitExceeded,
    NotAllowed,
    NotFound,
    ValueMismatch,
)
from convexlab.functions.calls import call_arguments
from convexlab.functions.database import DatabaseReader, DatabaseWriter
from convexlab.functions.definition import FunctionDefinition, reference_path
from convexlab.functions.module_presence import module_presence
from convexlab.functions.query import Query
from convexlab.functions.scheduler import Scheduler
from convexlab.functions.storage import StorageReader, StorageWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.documents.validator import TableNumbers
    from convexlab.documents.value import Value
    from convexlab.functions.definition import Reference
    from convexlab.functions.execution import Execution

P = ParamSpec("P")
R = TypeVar("R")


class Auth:
    """`ctx.auth`."""

    __slots__ = ("_execution",)

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    def get_user_identity(self) -> dict[str, Any] | None:
        """Who is asking, or None. The result depends on it from here on."""
        self._execution.identity_read = True
        identity = self._execution.identity
        return None if identity is None else identity.to_value()


class QueryCtx:
    """What a query is given: it reads, and nothing else."""

    __slots__ = ("_db", "_execution")

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._db = DatabaseReader(execution)

    @property
    def db(self) -> DatabaseReader:
        """Documents."""
        return self._db

    @property
    def auth(self) -> Auth:
        """Who is asking."""
        return Auth(self._execution)

    def now(self) -> int:
        """The time in ms since 1970; it stands still while the function runs."""
        return int(self._execution.run.read_clock())

    @overload
    def run_query(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def run_query(
        self, ref: FunctionDefinition[..., R], args: Mapping[str, Any], /
    ) -> R: ...

    @overload
    def run_query(self, ref: str | Reference, /, *args: Any, **kwargs: Any) -> Any: ...

    def run_query(self, ref: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a query in this transaction.

        Args:
            ref: the decorated function, `api.…`, `internal.…` or a path.
            args: one dict may stand in place of the arguments.
            kwargs: the arguments.
        """
        return self._nested("query", ref, args, kwargs)

    @property
    def storage(self) -> StorageReader:
        """Files."""
        return StorageReader(self._execution)

    def _nested(
        self, kind: Any, ref: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        execution = self._execution
        values = call_arguments(f"ctx.run_{kind}", args, kwargs)
        path = reference_path(ref)
        execution.leave()
        try:
            execution.tx.read_set.record(*module_presence(path))
            definition = execution.modules.function(path)
        except NotFound as error:
            raise NotFound(f"{error} (called by `ctx.run_{kind}`)") from None
        finally:
            execution.enter()
        check_kind(definition, kind)
        if execution.depth >= knobs.MAX_NESTED_CALLS:
            raise LimitExceeded(
                f"Calls are nested more than {knobs.MAX_NESTED_CALLS} deep: `ctx.run_{kind}({definition.path})`.",
                kind="CallDepth",
            )
        execution.depth += 1
        try:
            return self._run_nested(definition, values)
        finally:
            execution.depth -= 1

    def _run_nested(
        self, definition: FunctionDefinition[..., Any], values: dict[str, Any]
    ) -> Any:
        if definition.kind == "query":
            return call(definition, values, QueryCtx(self._execution), self._execution)
        with self._execution.tx.savepoint():
            return call(
                definition, values, MutationCtx(self._execution), self._execution
            )

    def __getattr__(self, name: str) -> NoReturn:
        raise (
            NotAllowed(_missing(type(self).__name__, name))
            if name in _ELSEWHERE
            else AttributeError(f"`ctx` has no `{name}`")
        )


class MutationCtx(QueryCtx):
    """What a mutation is given: it reads and writes, in one transaction."""

    __slots__ = ("_writer",)

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._db = self._writer = DatabaseWriter(execution)

    @property
    def db(self) -> DatabaseWriter:
        """Documents."""
        return self._writer

    @overload
    def run_mutation(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def run_mutation(
        self, ref: FunctionDefinition[..., R], args: Mapping[str, Any], /
    ) -> R: ...

    @overload
    def run_mutation(
        self, ref: str | Reference, /, *args: Any, **kwargs: Any
    ) -> Any: ...

    def run_mutation(self, ref: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a mutation as a sub-transaction: if it raises, its writes are gone."""
        return self._nested("mutation", ref, args, kwargs)

    @property
    def storage(self) -> StorageWriter:
        """Files."""
        return StorageWriter(self._execution)

    @property
    def scheduler(self) -> Scheduler:
        """Functions run later."""
        return Scheduler(self._execution)


_ELSEWHERE = {
    "run_mutation": "only mutations and actions call mutations",
    "scheduler": "only mutations and actions schedule functions",
    "run_action": "only actions call actions; a mutation schedules one",
    "vector_search": "only actions search vectors so; a query uses `.with_vector_index(…)`",
    "embed": "only actions compute embeddings",
}


def _missing(ctx: str, name: str) -> str:
    kind = "query" if ctx == "QueryCtx" else "mutation"
    return f"`ctx.{name}` in a {kind}: {_ELSEWHERE[name]}."


def check_kind(definition: FunctionDefinition[..., Any], kind: str) -> None:
    """Raises if a function is called as what it is not."""
    if definition.kind != kind:
        wanted = {"query": "Query", "mutation": "Mutation", "action": "Action"}.get(
            kind, kind
        )
        raise NotAllowed(
            f"Trying to execute {definition.module}.js:{definition.name} as {wanted}, but it is defined as {definition.kind_name}."
        )


def call(
    definition: FunctionDefinition[..., Any],
    values: dict[str, Any],
    ctx: QueryCtx,
    execution: Execution,
) -> Value:
    """Checks the arguments, runs the handler, checks the result, which is a value of its own.

    User code has the floor before and after.
    """
    result = invoke(definition, values, ctx, execution)
    return checked_result(definition, result, execution.tx.catalog.table_numbers)


def invoke(
    definition: FunctionDefinition[..., Any],
    values: dict[str, Any],
    ctx: QueryCtx,
    execution: Execution,
) -> object:
    """Checks the arguments and runs the handler; what it returned, as it is."""
    arguments = bound(definition, values, execution.tx.catalog.table_numbers)
    assert definition.module is not None, f"M1: {definition} was found in no module"
    execution.entered.add(definition.module)
    result = definition.handler(ctx, **arguments)
    if inspect.iscoroutine(result):
        result = finished(result, definition)
    return result


def bound(
    definition: FunctionDefinition[..., Any],
    values: dict[str, Any],
    tables: TableNumbers,
) -> dict[str, Any]:
    """The arguments, checked, as the handler takes them.

    Raises:
        InvalidArguments: as Convex words it.
    """
    try:
        return definition.signature.bind(values, tables)
    except (ValueMismatch, InvalidArguments) as error:
        raise InvalidArguments(f"ArgumentValidationError: {error}") from None


def finished(coroutine: Any, definition: FunctionDefinition[..., Any]) -> Any:
    """The result of an `async def` handler, which may not wait."""
    try:
        coroutine.send(None)
    except StopIteration as stopped:
        return stopped.value
    coroutine.close()
    raise NotAllowed(
        f"`{definition.path}` waits: only actions may wait, and this is a {definition.kind}."
    )


def checked_result(
    definition: FunctionDefinition[..., Any], result: object, tables: TableNumbers
) -> Value:
    """The result as a value, checked against `returns`."""
    if isinstance(result, Query):
        raise InvalidValue(
            f"`{definition.path}` returns a query that has not been run: call `.collect()`, `.take(n)`, `.first()`, `.unique()` or `.paginate(…)` on it."
        )
    if inspect.iscoroutine(result):
        result.close()
        raise InvalidValue(
            f"`{definition.path}` returns a coroutine: an `async def` was called without `await`."
        )
    value = None if result is UNDEFINED else normalize(result, "the result")
    check_returns(definition, value, tables)
    return value


def check_returns(
    definition: FunctionDefinition[..., Any], value: Value, tables: TableNumbers
) -> None:
    """Checks a result that is a value against `returns`.

    Raises:
        InvalidArguments: as Convex words it.
    """
    signature = definition.signature
    if signature.returns is not None:
        try:
            signature.check_result(value, tables)
        except ValueMismatch as error:
            raise InvalidArguments(f"ReturnsValidationError: {error}") from None
