"""Errors on their way between processes: exception ⇄ Failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.documents.encoding import from_wire
from convexlab.errors import (
    ConvexError,
    ConvexlabError,
    FunctionFailed,
    NotFound,
    PushFailed,
)
from convexlab.functions.processes.messages import Failure
from convexlab.functions.tracebacks import IN_CALLED, split_error

if TYPE_CHECKING:
    from convexlab.functions.runner import Outcome


def failure_of(outcome: Outcome) -> Failure | None:
    """How a run failed; None if it did not."""
    error = outcome.error
    if error is None:
        return None
    return Failure(error.message, error.code, error.data)


def failure_from(error: ConvexlabError) -> Failure:
    """An exception of ours, to be raised again on the other side."""
    where = None
    traceback = ""
    if isinstance(error, PushFailed):
        where = msgspec.json.encode({"path": error.path, "line": error.line})
        traceback = error.traceback or ""
    return Failure(str(error), error.code, where, traceback)


def error_from(failure: Failure) -> ConvexlabError:
    """The exception that a Failure stands for."""
    if failure.code == PushFailed.code:
        where: dict[str, Any] = msgspec.json.decode(failure.data or b"{}")
        return PushFailed(
            failure.message,
            path=where.get("path"),
            line=where.get("line"),
            traceback=failure.traceback or None,
        )
    for kind in _kinds(ConvexlabError):
        if kind.code == failure.code:
            return kind(failure.message)
    return ConvexlabError(failure.message)


def raised_from(failure: Failure) -> ConvexlabError:
    """The error of a function, as its caller in Python gets it."""
    sentence, traceback = split_error(failure.message)
    raised: ConvexlabError
    if failure.data is not None:
        raised = ConvexError(from_wire(failure.data))
    elif sentence.startswith("Uncaught "):
        raised = _uncaught(sentence.removeprefix("Uncaught "), failure.code, traceback)
    elif sentence.startswith("Trying to execute"):  # there is none of this kind
        raised = NotFound(sentence)
    else:
        raised = error_from(Failure(sentence, failure.code))
    if traceback:
        raised.add_note(f"{IN_CALLED}{traceback}")
    return raised


def _uncaught(sentence: str, code: str, traceback: str) -> ConvexlabError:
    """What a function let through: of ours, the same again; of Python's, told of."""
    raised = error_from(Failure(sentence, code))
    if code == FunctionFailed.code or type(raised) is ConvexlabError:
        return FunctionFailed(sentence, traceback=traceback)
    # N.B. the class says its name itself.
    return error_from(
        Failure(sentence.removeprefix(f"{type(raised).__name__}: "), code)
    )


def _kinds(base: type[ConvexlabError]) -> list[type[ConvexlabError]]:
    return [base, *(kind for sub in base.__subclasses__() for kind in _kinds(sub))]
