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

from convexlab import knobs
from convexlab.errors import CallerError, ConvexError, FunctionFailed
from convexlab.functions.determinism import USER_FILES

if TYPE_CHECKING:
    from types import TracebackType

_MAX_FRAMES = 40
_FRAMES = re.compile(rf'^  File "{USER_FILES}', re.MULTILINE)
_AWAITED = "can't be used in 'await' expression"


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
    name = type(error).__name__
    text = str(error.data if isinstance(error, ConvexError) else error)
    hint = hint_for(error)
    said = f"{name}: {text}" if text else name
    return f"{said}{hint}"


def hint_for(error: BaseException) -> str:
    """What to do about errors that come from how functions run here; else nothing."""
    if isinstance(error, NameError) and not isinstance(error, UnboundLocalError):
        name = error.name or "the name"
        return (
            f". `{name}` is not defined in this module: a cell with %%convex sees no variable of the "
            f"notebook's kernel. Pass the value as an argument (`def f(ctx, {name})`), or define or import it here."
        )
    if isinstance(error, MemoryError):
        most = knobs.FUNCTION_MEMORY_BYTES / (1 << 30)
        return f". A function's process may take {most:g} GiB of memory."
    if isinstance(error, TypeError) and _AWAITED in str(error):
        return (
            ". Calls on `ctx` in queries and mutations are plain: remove the `await`."
        )
    if isinstance(error, TypeError) and re.search(
        r"unexpected keyword argument '\w+'", str(error)
    ):
        return ""
    return ""


def split_error(message: str) -> tuple[str, str]:
    """What `format_error` said, as the sentence and the user's frames."""
    found = _FRAMES.search(message)
    at = len(message) if found is None else found.start()
    return message[:at].rstrip(), message[at:]


def format_error(error: BaseException, sources: SourceLines) -> str:
    """An uncaught error as clients get it: what it says, then where it was."""
    lines = [f"Uncaught {describe(error)}", *user_frames(error, sources)]
    if isinstance(error, FunctionFailed) and error.traceback:
        lines += ["In the function that was called:", error.traceback]
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
