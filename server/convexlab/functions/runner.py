"""The runner: one call of a query or mutation, from the arguments' JSON to the outcome.

    path ─▶ definition ─▶ visible? of this kind? ─▶ arguments ─▶ handler ─▶ result ─▶ JSON

User errors never leave it as exceptions: an outcome holds a value or an error,
with the log lines either way, and what a cached result depends on. The
transaction is the caller's: it is finished or forgotten there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_wire, to_wire
from convexlab.documents.one_pass import text_as_it_stands
from convexlab.documents.value import normalize, size_of
from convexlab.errors import (
    CallerError,
    ConvexError,
    InvalidArguments,
    NotFound,
    RetryError,
)
from convexlab.followers.keeper import NO_INDEXES
from convexlab.functions import cursors, determinism, metrics
from convexlab.functions.context import (
    MutationCtx,
    QueryCtx,
    check_kind,
    check_returns,
    checked_result,
    invoke,
)
from convexlab.functions.execution import Execution, NoClock
from convexlab.functions.module_presence import module_presence
from convexlab.functions.scheduled import UNSCHEDULED
from convexlab.functions.tracebacks import format_error, user_frames

if TYPE_CHECKING:
    from convexlab.documents.validator import TableNumbers
    from convexlab.documents.value import Value
    from convexlab.engine.transaction import Transaction
    from convexlab.followers.keeper import DerivedIndexes
    from convexlab.functions.definition import FunctionDefinition
    from convexlab.functions.execution import UserClock
    from convexlab.functions.identity import Identity
    from convexlab.functions.modules import ModuleSet
    from convexlab.functions.scheduled import Scheduling

_NO_CLOCK: Final = NoClock()
# Errors of ours that keep their code; an error of the system is none.
_TYPED: Final = (CallerError, RetryError)


@dataclass(frozen=True, slots=True)
class FunctionError:
    """Why a call failed.

    Attributes:
        message: for clients: what was raised, and the user's own frames.
        data: wire JSON of a ConvexError's data; None for other errors.
        code: the stable code of the error's class.
    """

    message: str
    data: bytes | None = None
    code: str = "FunctionFailed"


class Outcome(msgspec.Struct):
    """What one call came to.

    Attributes:
        value: JSON of the result, as on the wire or as stored; None if it failed.
        error: why it failed; None if it did not.
        log_lines: what it printed: `[LOG] 'text'`.
        journal: the page ends it reached, for the rerun; None without pages.
        identity_read: whether the result depends on who asked.
        clock_read: whether it depends on when.
        index_behind: whether it may say something else once an index has caught up.
    """

    value: bytes | None = None
    error: FunctionError | None = None
    log_lines: list[str] = []
    journal: str | None = None
    identity_read: bool = False
    clock_read: bool = False
    index_behind: bool = False


def run(
    modules: ModuleSet,
    path: str,
    args_json: bytes,
    tx: Transaction,
    *,
    kind: Literal["query", "mutation"],
    identity: Identity | None = None,
    admin: bool = False,
    seed: bytes,
    now_ms: int,
    journal: str | None = None,
    clock: UserClock = _NO_CLOCK,
    secret: bytes = b"",
    stored: bool = False,
    scheduling: Scheduling = UNSCHEDULED,
    request: bytes = b"",
    derived: DerivedIndexes = NO_INDEXES,
) -> Outcome:
    """Runs one call in a transaction; raises only when the system is at fault.

    Args:
        modules: the deployment's modules as the transaction's snapshot names them.
        path: the function: `tasks:create`.
        args_json: one object, or an array that holds one.
        tx: what it reads and writes.
        kind: as what it is called.
        identity: who is asking.
        admin: whether internal functions may be called too.
        seed: what its random numbers come from, 32 bytes.
        now_ms: where time stands.
        journal: the journal of an earlier run of the same query.
        clock: measures the user's own time.
        secret: what cursors are sealed with.
        stored: encode the result as the store does, so that `1` stays `1`.
        scheduling: which scheduled function it runs, or runs for.
        request: that it comes from (`requested`).
        derived: the indexes that follow the log.
    """
    outcome = Outcome()
    run_ = determinism.Run(f"a {kind}", now_ms=now_ms, seed=seed)
    execution = Execution(
        modules,
        tx,
        run_,
        clock=clock,
        identity=identity,
        secret=secret,
        scheduling=scheduling,
        request=request,
        derived=derived,
    )
    tx.read_set.record(*module_presence(path))
    try:
        definition = find(modules, path, kind, admin=admin)
        values = arguments_of(args_json)
        if journal is not None:
            execution.incoming = cursors.open_journal(journal, secret)
    except CallerError as error:
        outcome.error = refused(error)
        return outcome
    token = determinism.begin(run_)
    clock.enter()
    try:
        ctx = MutationCtx(execution) if kind == "mutation" else QueryCtx(execution)
        result = invoke(definition, values, ctx, execution)
        tables = tx.catalog.table_numbers
        outcome.value = result_text(definition, result, tables, stored=stored)
        run_.active = False
    except BaseException as error:
        run_.active = False
        if is_signal(error):
            raise
        outcome.error = failed(error, modules)
    finally:
        clock.leave()
        determinism.end(token)
        for entered in execution.entered:
            modules.restore(entered)
    _warn(execution, args_json, outcome.value or b"")
    outcome.log_lines = run_.log.lines
    outcome.identity_read = execution.identity_read
    outcome.clock_read = run_.clock_read
    outcome.index_behind = bool(execution.behind)
    if outcome.error is not None and journal is not None:
        outcome.journal = journal  # of the pages that it did not come to, too
    elif execution.outgoing:
        outcome.journal = cursors.journal_of(execution.outgoing, secret)
    return outcome


def _warn(execution: Execution, args: bytes, result: bytes) -> None:
    """Note in the log which limits a run came near to."""
    tx, user_seconds = execution.tx, execution.clock.user_seconds
    if metrics.may_be_near(tx, len(args) + len(result), user_seconds):
        for warning in metrics.warnings(tx, args, result, user_seconds):
            execution.run.log.add_text("WARN", warning)


def is_signal(error: BaseException) -> bool:
    """Whether it is meant for the process, and is no error of user code."""
    if isinstance(error, Exception | SystemExit):
        return False
    ours = type(error).__module__.startswith("convexlab.")
    return ours or isinstance(error, KeyboardInterrupt)


def find(
    modules: ModuleSet, path: str, kind: str, *, admin: bool
) -> FunctionDefinition[..., Any]:
    """The function that is called, if who calls may.

    Raises:
        NotFound: there is none; an internal one is none to others than admins.
        NotAllowed: it is of another kind.
    """
    try:
        definition = modules.function(path)
    except NotFound:
        definition = None
    if definition is None or not (admin or definition.visibility == "public"):
        if admin:
            raise NotFound(
                f"Could not find function for '{_shown(path)}'. Did you forget to push its module?"
            )
        raise NotFound(f"Could not find public function for '{_shown(path)}'.")
    check_kind(definition, kind)
    return definition


def _shown(path: str) -> str:
    module, colon, name = path.partition(":")
    return f"{module.removesuffix('.js')}{colon}{name}"


def arguments_of(args_json: bytes) -> dict[str, Any]:
    """The arguments' JSON: one object, or an array that holds one.

    Raises:
        InvalidArguments: it is too large, or anything else.
        InvalidValue: it holds what is no value.
    """
    values = from_wire(args_json)
    _check_size(values, len(args_json), "The arguments are")
    if isinstance(values, list):
        if len(values) > 1:
            raise InvalidArguments(
                "ArgumentValidationError: a function takes one object of arguments."
            )
        values = values[0] if values else {}
    if not isinstance(values, dict):
        raise InvalidArguments("ArgumentValidationError: the arguments are one object.")
    return values


def result_text(
    definition: FunctionDefinition[..., Any],
    result: object,
    tables: TableNumbers,
    *,
    stored: bool,
) -> bytes:
    """The JSON of what a handler returned, checked.

    Raises:
        InvalidArguments: not what it says it returns, or too large.
        InvalidValue: not a value.
    """
    text = text_as_it_stands(result, stored=stored)
    if text is None:
        value = checked_result(definition, result, tables)
        text = text_as_it_stands(value, stored=stored)
        assert text is not None, f"a value is said as it stands: {value!r}"
    else:
        value = cast("Value", result)
        check_returns(definition, value, tables)
    _check_size(value, len(text), "The result is")
    return text


def _check_size(value: Value, text_bytes: int, what: str) -> None:
    """Refuses arguments or a result above the limit, given the length of their JSON."""
    limit = knobs.MAX_VALUE_BYTES
    # N.B. no value is larger than nine times its JSON: a number is `1`, or 9 bytes.
    if 9 * text_bytes > limit and (size := size_of(value)) > limit:
        raise InvalidArguments(
            f"{what} too large ({size} bytes > maximum size {limit} bytes)."
        )


def refused(error: CallerError) -> FunctionError:
    """An error before user code began: it says itself what is wrong."""
    return FunctionError(str(error), code=error.code)


def failed(error: BaseException, modules: ModuleSet) -> FunctionError:
    """An error of user code, with the user's own frames."""
    code = error.code if isinstance(error, _TYPED) else "FunctionFailed"
    if isinstance(error, ConvexError):
        return _application_error(error, modules)
    if isinstance(error, InvalidArguments) and not user_frames(error, modules):
        return FunctionError(str(error), code=code)
    return FunctionError(format_error(error, modules), code=code)


def _application_error(error: ConvexError, modules: ModuleSet) -> FunctionError:
    try:
        data = to_wire(normalize(error.data, "the data of ConvexError"))
    except CallerError as refused:
        return FunctionError(
            f"ConvexError with invalid data: {refused}\n"
            + "\n".join(user_frames(error, modules))
        )
    return FunctionError(format_error(error, modules), data=data, code=error.code)
