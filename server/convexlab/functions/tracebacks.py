"""Tracebacks: what a user sees of an error, cut to the frames of their own modules.

    Uncaught ValueError: no such thing
      File "convex/tasks.py", line 12, in create
        raise ValueError("no such thing")

Source lines come from the modules that ran, not from disk: no such file is there.
"""

from __future__ import annotations

import re
import traceback
from typing import TYPE_CHECKING, Protocol

from convexlab.errors import CallerError, FunctionFailed
from convexlab.functions.determinism import USER_FILES
from convexlab.functions.hints import hint_for

if TYPE_CHECKING:
    from types import TracebackType

#: What begins the note of an error that a function which was called has failed with.
IN_CALLED = "In the deployment:\n"
_MAX_FRAMES = 40
_FRAMES = re.compile(rf'^  File "{USER_FILES}', re.MULTILINE)


class SourceLines(Protocol):
    """Whoever knows the text of user modules."""

    def line(self, filename: str, number: int) -> str:
        """One line of a module's source, or an empty string."""


def user_frames(error: BaseException, sources: SourceLines) -> list[str]:
    """The frames of user modules, outermost first, two lines each."""
    frames = []
    for filename, number, name in _walk(error.__traceback__):
        text = sources.line(filename, number).strip()
        frame = f'  File "{filename}", line {number}, in {name}'
        frames.append(f"{frame}\n    {text}" if text else frame)
    if len(frames) > _MAX_FRAMES:
        half = _MAX_FRAMES // 2
        frames[half:-half] = [f"  … {len(frames) - _MAX_FRAMES} more frames …"]
    return frames


def user_line(error: BaseException, filename: str) -> int | None:
    """The line of `filename` that was running when `error` was raised."""
    if isinstance(error, SyntaxError) and error.filename == filename:
        return error.lineno
    lines = [
        number for file, number, _ in _walk(error.__traceback__) if file == filename
    ]
    return lines[-1] if lines else None


def _walk(tb: TracebackType | None) -> list[tuple[str, int, str]]:
    return [
        (frame.f_code.co_filename, number, frame.f_code.co_name)
        for frame, number in traceback.walk_tb(tb)
        if frame.f_code.co_filename.startswith(USER_FILES)
    ]


def describe(error: BaseException) -> str:
    """`ValueError: text`, with a hint where one helps."""
    if isinstance(error, SyntaxError):
        return "".join(traceback.format_exception_only(error)).strip()
    name = _public_name(type(error))
    text = str(error)
    hint = hint_for(error)
    said = f"{name}: {text}" if text else name
    return f"{said}{hint}"


def _public_name(kind: type[BaseException]) -> str:
    """A class's name; of ours that are private, that of the public one behind it."""
    names = (
        each.__name__
        for each in kind.__mro__
        if each.__name__[0] != "_" or not each.__module__.startswith("convexlab.")
    )
    return next(names)


def split_error(message: str) -> tuple[str, str]:
    """What `format_error` said, as the sentence and the user's frames."""
    found = _FRAMES.search(message)
    at = len(message) if found is None else found.start()
    return message[:at].rstrip(), message[at:]


def _lines_called(error: BaseException) -> list[str]:
    """Where it was in a function that was called, and that failed with this error."""
    notes = getattr(error, "__notes__", [])
    told = [n.removeprefix(IN_CALLED) for n in notes if n.startswith(IN_CALLED)]
    if isinstance(error, FunctionFailed) and error.traceback:
        told = [error.traceback]
    return ["In the function that was called:", told[0]] if told else []


def format_error(error: BaseException, sources: SourceLines) -> str:
    """An uncaught error as clients get it: what it says, then where it was."""
    lines = [f"Uncaught {describe(error)}", *user_frames(error, sources)]
    lines += _lines_called(error)
    seen = {id(error)}
    cause = error
    while True:
        following = cause.__cause__ or (
            None if cause.__suppress_context__ else cause.__context__
        )
        if following is None or id(following) in seen or len(seen) > 5:
            break
        seen.add(id(following))
        frames = user_frames(following, sources)
        if frames and not (
            isinstance(following, CallerError) and following.__traceback__ is None
        ):
            lines += [f"Because of {describe(following)}", *frames]
        cause = following
    return "\n".join(lines)
