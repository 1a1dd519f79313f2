"""The logbook: writes down in the deployment's log what each run came to.

    calls and what the processes say of them ─▶ entries ─▶ the stream (`functions.logs`)

The system's own functions are not written down, nor what did not run: a call that
nobody could take, that was answered from the record of an earlier run, or whose
arguments are no JSON. Those were begun unread (`web.again`): the request is answered as
the one that it is.
"""

from __future__ import annotations

import itertools
import math
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec

from convexlab.documents.ids import decode_id
from convexlab.engine.system_tables import CRON_JOBS
from convexlab.functions.logs.entries import Completion, Origin, Progress
from convexlab.functions.processes.deployed import SYSTEM
from convexlab.functions.processes.messages import NOTHING_USED
from convexlab.functions.requested import request_id_of
from convexlab.functions.timetable import Verdict

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from convexlab.functions.logs.entries import CallerName, IdentityType
    from convexlab.functions.logs.stream import LogStream
    from convexlab.functions.processes.messages import (
        ActionDone,
        Failure,
        QueryDone,
        Reply,
        Used,
    )
    from convexlab.functions.processes.runners import Run
    from convexlab.sync.backend import ActionCall, Caller, MutationCall, QueryCall

# Names that the gateway gives to calls begin so; a session's is a UUID.
_OUR_CALL: Final = "g"

_verdict: Final = msgspec.json.Decoder(Verdict).decode
_one_value: Final = msgspec.json.Decoder(msgspec.Raw).decode


class Logbook:
    """See the module.

    Args:
        stream: the log.
    """

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream
        # The processes' numbers begin anew whenever the deployment starts.
        self._names = f"{int(stream.place() * 1000):x}-"
        self._unrun = itertools.count(1)

    # -- queries and mutations --------------------------------------------------------

    def query(self, call: QueryCall, done: QueryDone) -> None:
        """A query said something, whoever follows it."""
        if call.path.startswith(SYSTEM) or (done.failure and _is_none(call)):
            return
        self._write(
            Origin("Query", call.path, call.request_id, self._name(done.number)),
            "SyncWorker" if call.is_followed else "HttpApi",
            call.caller,
            seconds=done.seconds,
            lines=done.log_lines,
            error=error_of(done.failure),
            value=done.value,
            used=done.used,
        )

    def known(self, path: str, request_id: str, caller: Caller, value: bytes) -> None:
        """A query was not run, for what it says was known.

        Whoever follows is told. It is not kept: pages that ask again and again would
        leave no room for what happened.

        Args:
            path: the query.
            request_id: of the run that said it.
            caller: who asked.
            value: what it says.
        """
        if not path.startswith(SYSTEM):
            origin = Origin("Query", path, request_id, self._name_of_none())
            self._write(origin, "HttpApi", caller, value=value, is_cached=True)

    def mutation(self, call: MutationCall, reply: Reply) -> None:
        """A mutation was committed, or failed; or what was due was run."""
        if reply.used is None or call.path.startswith(SYSTEM):
            return
        if reply.failure and not call.entry and _is_none(call):
            return
        path, error, value = call.path, error_of(reply.failure), reply.value
        if call.entry and value is not None:
            verdict = _verdict(value)
            if not verdict.path or bytes(verdict.action_args):
                return  # its time had gone; or it is an action, which begins now
            path, error, value = verdict.path, verdict.error, None
        request, name = request_id_of(call.request), self._name(reply.number)
        self._write(
            Origin("Mutation", path, request, name, self._parent(call)),
            _caller(call),
            call.caller,
            seconds=reply.seconds,
            lines=reply.log_lines,
            error=error,
            value=value,
            used=reply.used,
        )

    # -- actions ----------------------------------------------------------------------

    def action_begins(self, run: Run, call: ActionCall) -> None:
        """An action will print."""
        request, name = request_id_of(call.request), self._name(run.number)
        run.origin = Origin("Action", call.path, request, name, self._parent(call))

    def request_begins(self, run: Run, route: str, caller: Caller) -> None:
        """An HTTP action will print, and end.

        Args:
            run: its run.
            route: as the function's specification has it: `GET /a/*`.
            caller: who sent the request.
        """
        request = request_id_of(run.message.request)
        run.origin = Origin("HttpAction", route, request, self._name(run.number))
        run.done.add_done_callback(partial(self._request_ended, run, caller))

    def printed(self, run: Run, line: str) -> None:
        """A run has printed a line, and goes on."""
        if run.origin is not None:
            self._stream.add(Progress(self._stream.place(), run.origin, (line,)))

    def action_ended(self, run: Run, call: ActionCall, done: ActionDone) -> None:
        """An action has ended."""
        if done.failure is None or not _is_none(call):
            self._ended(run, done, _caller(call), call.caller)

    def action_refused(self, call: ActionCall, error: str) -> None:
        """An action cannot be called."""
        if _is_none(call):
            return
        request, name = request_id_of(call.request), self._name_of_none()
        origin = Origin("Action", call.path, request, name, self._parent(call))
        self._write(origin, _caller(call), call.caller, error=error)

    def _request_ended(
        self, run: Run, caller: Caller, done: asyncio.Future[ActionDone]
    ) -> None:
        if not done.cancelled() and done.exception() is None:
            self._ended(run, done.result(), "HttpEndpoint", caller)

    def _ended(
        self, run: Run, done: ActionDone, by: CallerName, caller: Caller
    ) -> None:
        assert run.origin is not None, "it has begun"
        self._write(
            run.origin,
            by,
            caller,
            seconds=0.0 if math.isnan(run.began) else perf_counter() - run.began,
            lines=done.log_lines,
            told_lines=len(run.log_lines),
            error=error_of(done.failure),
            value=done.value,
            status=None if run.exchange is None else run.exchange.status,
        )

    # -- entries ----------------------------------------------------------------------

    def _name(self, number: int) -> str:
        """A run's name, by the number of its message."""
        return f"{self._names}{number:x}"

    def _name_of_none(self) -> str:
        return f"{self._names}n{next(self._unrun):x}"

    def _parent(self, call: MutationCall | ActionCall) -> str:
        return "" if call.within is None else self._name(call.within.number)

    def _write(
        self,
        origin: Origin,
        by: CallerName,
        caller: Caller,
        *,
        seconds: float = 0.0,
        lines: Sequence[str] = (),
        told_lines: int = 0,
        error: str | None = None,
        value: bytes | None = None,
        status: int | None = None,
        is_cached: bool = False,
        used: Used = NOTHING_USED,
    ) -> None:
        self._stream.add(
            Completion(
                self._stream.place(),
                origin,
                seconds,
                by,
                _identity(caller),
                tuple(lines),
                told_lines,
                error,
                status,
                is_cached,
                0 if value is None else len(value),
                used.documents_read,
                used.bytes_read,
                used.documents_written,
                used.bytes_written,
            ),
            is_kept=not is_cached,
        )


def error_of(failure: Failure | None) -> str | None:
    """All that is known of a failure: what it says, and the user's frames."""
    if failure is None:
        return None
    if failure.traceback:
        return f"{failure.message}\n{failure.traceback}"
    return failure.message


def _is_none(call: QueryCall | MutationCall | ActionCall) -> bool:
    """Whether what failed was no call: its arguments are no JSON."""
    try:
        _one_value(call.args)
    except (msgspec.DecodeError, RecursionError):
        return True
    return False


def _caller(call: MutationCall | ActionCall) -> CallerName:
    if call.within is not None:
        return "Action"
    if call.entry:
        return "Cron" if decode_id(call.entry)[0] == CRON_JOBS else "Scheduler"
    return "HttpApi" if call.call_id.startswith(_OUR_CALL) else "SyncWorker"


def _identity(caller: Caller) -> IdentityType:
    if caller.identity is not None:
        return "user"
    return "instance_admin" if caller.admin else "unknown"
