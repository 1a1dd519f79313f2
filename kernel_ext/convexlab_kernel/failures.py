"""What a deployment's refusal is: envelopes and statuses as typed errors.

A function that ran and failed answers 200 with `{"status": "error", …}`; what
was refused before that has another status and `{"code", "message"}`. Both become
the classes of `convexlab.errors`, with the sentence for people, and a remote
traceback apart from it (`RemoteFrame`), so that a notebook can show the lines
of the user's own cells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.documents.encoding import from_wire_object
from convexlab.errors import (
    CallerError,
    ConvexError,
    ConvexlabError,
    EnvVarUnreadable,
    FollowerBehind,
    FunctionFailed,
    InvalidArguments,
    InvalidEnvVar,
    InvalidQuery,
    InvalidValue,
    LimitExceeded,
    NotAllowed,
    NotFound,
    OutOfRetention,
    PushFailed,
    SchemaViolation,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# The remote part of an error's text: `File "convex/tasks.py", line 7, in create`.
FRAME = re.compile(
    r'^\s*(?:File|at) "?(?:.*/)?convex/(?P<path>[^"\n]+?)\.py"?, line (?P<line>\d+)'
    r"(?:, in (?P<function>\S+))?"
)
REQUEST_ID = re.compile(r"^\[Request ID: [0-9a-f]+\] Server Error\s*")
PREFIXES: tuple[tuple[str, type[CallerError]], ...] = (
    ("Could not find", NotFound),
    ("ArgumentValidationError", InvalidArguments),
    ("InvalidArgs", InvalidArguments),
    ("ReturnsValidationError", InvalidArguments),
    ("Trying to execute", NotFound),
)


@dataclass(frozen=True, slots=True)
class RemoteFrame:
    """One line of a user's function, as its traceback names it."""

    module: str
    line: int
    function: str | None = None


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """How a function's run ended, as HTTP says it."""

    status: str
    value: msgspec.Raw = msgspec.Raw(b"null")
    log_lines: list[str] = []
    error_message: str = ""
    error_data: Any = msgspec.UNSET
    error_code: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """Why a request was refused before any function ran."""

    code: str = ""
    message: str = ""


def refused(status: int, body: bytes) -> ConvexlabError:
    """The error of a response whose status is not 200."""
    try:
        refusal = msgspec.json.decode(body, type=Refusal)
    except msgspec.MsgspecError:
        refusal = Refusal("", body.decode("utf-8", "replace").strip()[:2000])
    message = (
        refusal.message or f"The deployment answered {status} {refusal.code}".strip()
    )
    return _by_code().get(refusal.code, _by_status(status))(message)


def failed(
    message: str, *, data: Any = msgspec.UNSET, code: str | None = None
) -> ConvexlabError:
    """The error of a function's run that failed.

    Args:
        message: the text as the protocol carries it, traceback included.
        data: what a `ConvexError` carried, as parsed from JSON.
        code: the error's stable code, where the deployment tells it.
    """
    sentence, traceback = split(message)
    if data is not msgspec.UNSET:
        error: ConvexlabError = ConvexError(from_wire_object(data))
    elif (kind := _kind(sentence, code)) is FunctionFailed:
        error = FunctionFailed(sentence, traceback=traceback)
    else:  # the class says its name itself
        error = kind(sentence.removeprefix(f"{kind.__name__}: "))
    if traceback:
        error.add_note(f"In the deployment:\n{traceback}")
    return error


def split(message: str) -> tuple[str, str]:
    """An error's text as (sentence, remote traceback)."""
    lines = REQUEST_ID.sub("", message).splitlines()
    first = next((n for n, line in enumerate(lines) if _opens(line)), len(lines))
    last = max((n for n, line in enumerate(lines) if FRAME.match(line)), default=-1)
    traceback = "\n".join(lines[first:]) if last >= 0 else ""
    sentence = "\n".join(lines[:first] if last >= 0 else lines).strip()
    if traceback and not sentence:
        # Python's own order: the sentence stands after the frames.
        sentence, traceback = _sentence_last(lines[first:])
    return sentence.removeprefix("Uncaught ") or "Server Error", traceback


def frames(traceback: str) -> Iterator[RemoteFrame]:
    """The users' lines in a remote traceback, outermost first."""
    for line in traceback.splitlines():
        found = FRAME.match(line)
        if found:
            yield RemoteFrame(found["path"], int(found["line"]), found["function"])


def _opens(line: str) -> bool:
    return line.startswith("Traceback (most recent") or FRAME.match(line) is not None


def _sentence_last(lines: list[str]) -> tuple[str, str]:
    """Split `Traceback …, frames, Name: text` where the last unindented line begins."""
    for n in range(len(lines) - 1, 0, -1):
        if lines[n] and not lines[n][0].isspace():
            return "\n".join(lines[n:]), "\n".join(lines[:n])
    return "", "\n".join(lines)


def _kind(sentence: str, code: str | None) -> type[ConvexlabError]:
    for prefix, kind in PREFIXES:
        if sentence.startswith(prefix):
            return kind
    return _by_code().get(code or "", FunctionFailed)


def _by_code() -> dict[str, type[ConvexlabError]]:
    plain: tuple[type[ConvexlabError], ...] = (
        NotFound,
        InvalidArguments,
        InvalidValue,
        SchemaViolation,
        NotAllowed,
        LimitExceeded,
        OutOfRetention,
        PushFailed,
        FollowerBehind,
        InvalidQuery,
        Unavailable,
        EnvVarUnreadable,
        *InvalidEnvVar.__subclasses__(),
    )
    special = (*NotFound.__subclasses__(), *InvalidArguments.__subclasses__())
    # N.B. those that have no code of their own have that of a plain one.
    codes: dict[str, type[ConvexlabError]] = {
        kind.code: kind for kind in (*special, *plain)
    }
    return codes | {"BadDeployKey": NotAllowed, "Unauthorized": NotAllowed}


def _by_status(status: int) -> type[ConvexlabError]:
    if status in {401, 403}:
        return NotAllowed
    if status == 404:
        return NotFound
    return Unavailable if status in {429, 502, 503, 504} else CallerError
