"""Contexts: what functions are given as `ctx`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar, overload

from convexlab import knobs
from convexlab.documents.calls import call_arguments
from convexlab.documents.value import UNDEFINED, normalize
from convexlab.errors import (
    InvalidArguments,
    InvalidValue,
    LimitExceeded,
    NotAllowed,
    NotFound,
    ValueMismatch,
)
from convexlab.functions.aggregates import Grouping
from convexlab.functions.calls import nested_options
from convexlab.functions.database import DatabaseReader, DatabaseWriter
from convexlab.functions.definition import FunctionDefinition, reference_path
from convexlab.functions.meta import Meta, MutationMeta
from convexlab.functions.metrics import tightened
from convexlab.functions.module_presence import module_presence
from convexlab.functions.query import Query
from convexlab.functions.scheduler import Scheduler
from convexlab.functions.storage import StorageReader, StorageWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convexlab.documents.validator import TableNumbers
    from convexlab.documents.value import Value
    from convexlab.functions.calls import NestedOptions
    from convexlab.functions.definition import Reference
    from convexlab.functions.execution import Execution
    from convexlab.functions.metrics import TransactionLimits

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
        self,
        ref: FunctionDefinition[..., R],
        args: Mapping[str, Any],
        /,
        *,
        transaction_limits: TransactionLimits = ...,
        use_stale_snapshot: bool = ...,
    ) -> R: ...

    @overload
    def run_query(self, ref: str | Reference, /, *args: Any, **kwargs: Any) -> Any: ...

    def run_query(self, ref: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a query in this transaction.

        Args:
            ref: the decorated function, `api.…`, `internal.…` or a path.
            args: one dict may stand in place of the arguments. Then there may be
                `transaction_limits=`, the most that this call may use on top of what
                is used (`{"documentsRead": 100}`), and in a mutation
                `use_stale_snapshot=True`: the query sees what was there when the
                mutation began, not what it has written.
            kwargs: the arguments.
        """
        return self._nested("query", ref, args, kwargs)

    @property
    def meta(self) -> Meta:
        """What there is to know of the function, its transaction and its deployment."""
        return Meta(self._execution)

    @property
    def storage(self) -> StorageReader:
        """Files."""
        return StorageReader(self._execution)

    def _nested(
        self, kind: Any, ref: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        execution = self._execution
        options = nested_options(f"ctx.run_{kind}", args, kwargs)
        values = call_arguments(
            f"ctx.run_{kind}(ref, …)", args, {} if options else kwargs
        )
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
            limits = options.get("transaction_limits")
            if limits is None:
                return self._run_nested(definition, values, options)
            with execution.tx.limited(tightened(execution.tx, limits)):
                return self._run_nested(definition, values, options)
        finally:
            execution.depth -= 1

    def _run_nested(
        self,
        definition: FunctionDefinition[..., Any],
        values: dict[str, Any],
        options: NestedOptions,
    ) -> Any:
        execution = self._execution
        if options.get("use_stale_snapshot"):
            self._check_may_be_stale(definition)
            execution = execution.at_its_beginning()
        if definition.kind == "query":
            return call(definition, values, QueryCtx(execution), execution)
        with execution.tx.savepoint():
            return call(definition, values, MutationCtx(execution), execution)

    def _check_may_be_stale(self, definition: FunctionDefinition[..., Any]) -> None:
        if definition.kind != "query" or not self._execution.tx.is_writable:
            raise InvalidArguments(
                "`use_stale_snapshot` is for queries that a mutation calls: here "
                f"`{definition.path}` is a {definition.kind}, called by a "
                f"{'mutation' if self._execution.tx.is_writable else 'query'}."
            )

    def __getattr__(self, name: str) -> NoReturn:
        raise (
            NotAllowed(_missing(type(self).__name__, name))
            if name in _ELSEWHERE
            else AttributeError(f"`ctx` has no `{name}`", name=name, obj=self)
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

    @property
    def meta(self) -> MutationMeta:
        """What there is to know of the function, its transaction, deployment and request."""
        return MutationMeta(self._execution)

    @overload
    def run_mutation(
        self, ref: FunctionDefinition[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...

    @overload
    def run_mutation(
        self,
        ref: FunctionDefinition[..., R],
        args: Mapping[str, Any],
        /,
        *,
        transaction_limits: TransactionLimits = ...,
    ) -> R: ...

    @overload
    def run_mutation(
        self, ref: str | Reference, /, *args: Any, **kwargs: Any
    ) -> Any: ...

    def run_mutation(self, ref: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a mutation as a sub-transaction: if it raises, its writes are gone.

        Args:
            ref: the decorated function, `api.…`, `internal.…` or a path.
            args: one dict may stand in place of the arguments. Then there may be
                `transaction_limits=`, the most that this call may use on top of what
                is used (`{"documentsWritten": 100}`).
            kwargs: the arguments.
        """
        return self._nested("mutation", ref, args, kwargs)

    @property
    def storage(self) -> StorageWriter:
        """Files."""
        return StorageWriter(self._execution)

    @property
    def scheduler(self) -> Scheduler:
        """Functions run later."""
        return Scheduler(self._execution)


# What Python says of an `await` that needs an event loop.
_NO_LOOP = "no running event loop"

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
    caller, execution.current = execution.current, definition
    try:
        result = definition.handler(ctx, **arguments)
        return finished(result, definition) if inspect.iscoroutine(result) else result
    finally:
        execution.current = caller


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
    except RuntimeError as error:
        if str(error) != _NO_LOOP:
            raise
    coroutine.close()
    raise NotAllowed(
        f"`{definition.path}` waits: only actions may wait, and this is a {definition.kind}. "
        "To go on later, let a mutation call `ctx.scheduler.run_after`."
    )


def checked_result(
    definition: FunctionDefinition[..., Any], result: object, tables: TableNumbers
) -> Value:
    """The result as a value, checked against `returns`."""
    if isinstance(result, Query):
        raise InvalidValue(
            f"`{definition.path}` returns a query that has not been run: call `.collect()`, `.take(n)`, `.first()`, `.unique()` or `.paginate(…)` on it."
        )
    if isinstance(result, Grouping):
        raise InvalidValue(
            f"`{definition.path}` returns groups of which nothing is wanted yet: call `.agg(n=count())` on them."
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
