"""Calls that fail without having run to their end: who waits is told, each in its form.

A mutation's failure is published as its reply would be, a query's is a result that
only a new version of its module ends, and any other call raises where it is awaited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.engine.look import Read
from convexlab.errors import ConvexlabError, ProcessDied
from convexlab.functions.module_presence import module_presence
from convexlab.functions.processes.messages import (
    Failure,
    Group,
    Import,
    QueryDone,
    Reply,
    RunMutation,
    RunQuery,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.functions.processes.calls import Answered, Call


class Failing:
    """How calls of one deployment fail.

    Args:
        published: as of `Supervisor`.
        now: the newest published timestamp.
    """

    def __init__(
        self,
        published: Callable[[Group, list[Answered]], None],
        now: Callable[[], int],
    ) -> None:
        self._published = published
        self._now = now

    def fail(self, call: Call, error: ConvexlabError) -> None:
        """Answer a call that did not run."""
        if call.future is None:
            self._tell([(call.tag, error)])
        elif not call.future.done():
            call.future.set_exception(error)

    def fail_culprit(
        self, calls: dict[int, Call], culprit: int, reason: str, stack: str
    ) -> None:
        """Answer the call that its process died of; its neighbours stay where they are.

        Args:
            calls: those that the process was given; what has failed is taken out.
            culprit: the number of the call that it ran.
            reason: how it ended.
            stack: where in the users' code it was.
        """
        call = calls.pop(culprit, None)
        if call is None:
            return
        failure = Failure(message=reason, code="ProcessDied", traceback=stack)
        match call.message:
            case RunMutation(call_id=call_id):
                # N.B. a session that asked twice has two calls of one id.
                again = _taken(calls, "call_id", call_id)
                self._tell([_failed_mutation(one, failure) for one in [call, *again]])
            case RunQuery():
                call.succeed(_failed_query(call.message, failure))
            case Import(request=request):
                # What comes after its lines is not brought in without them.
                later = _taken(calls, "request", request) if request else []
                for one in [call, *later]:
                    self.fail(one, ProcessDied(reason))
            case _:
                self.fail(call, ProcessDied(reason))

    def _tell(self, answered: list[Answered]) -> None:
        now = self._now()
        self._published(Group(now, now, [], []), answered)


def _taken(calls: dict[int, Call], field: str, value: Any) -> list[Call]:
    """The calls whose message says the same, taken out."""
    found = [
        number
        for number, call in calls.items()
        if getattr(call.message, field, None) == value
    ]
    return [calls.pop(number) for number in found]


def _failed_mutation(call: Call, failure: Failure) -> Answered:
    return call.tag, Reply(call.message.number, None, None, failure, [])


def _failed_query(message: RunQuery, failure: Failure) -> QueryDone:
    """Data does not wake it: it looked at its module only."""
    index, interval = module_presence(message.path)
    return QueryDone(
        number=message.number,
        ts=message.at,
        value=None,
        failure=failure,
        log_lines=[],
        journal=None,
        read_set=[Read(index, interval.start, interval.end)],
        identity_read=False,
        clock_read=False,
        seconds=0.0,
    )
