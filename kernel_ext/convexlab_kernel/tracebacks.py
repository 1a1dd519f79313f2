"""Tracebacks as people need them: their own lines, here and in the deployment.

An error that leaves our calls shows the frames of the user's cells, then the
lines of their functions that ran in the deployment, each as `Cell In[n], line k`
where that cell was pushed from this kernel, and nothing of ours between.

    Cell In[4], line 1
    ----> 1 db.mutation("tasks:boom", a=3)

    Cell In[3], line 5, in tasks:boom
          4     b = a + 1
    ----> 5     return b / 0

    FunctionFailed: ZeroDivisionError: division by zero

IPython asks an exception for `_render_traceback_`; each error gets its own where
it leaves us, because the classes know nothing of notebooks.
"""

from __future__ import annotations

import functools
import linecache
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from convexlab.errors import ConvexlabError, FunctionFailed, PushFailed
from convexlab_kernel.failures import RemoteFrame, frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

P = ParamSpec("P")
R = TypeVar("R")

CONTEXT_LINES = 2
RED, GREEN, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"
OURS = ("convexlab", "convexlab_kernel", "convexlab_widgets", "IPython", "asyncio")
HERE = str(Path(__file__).parent)


@dataclass(frozen=True, slots=True)
class Place:
    """A line to show: where it is, and the source around it."""

    title: str
    source: Sequence[str]
    line: int
    function: str | None = None


@dataclass(frozen=True, slots=True)
class CellLine:
    """Where a module's line stands: a cell's number, its line and its source."""

    cell: int | None
    line: int
    source: Sequence[str]


# What knows the cells that were pushed; set when the extension is loaded.
_find_line: Callable[[str, int], CellLine | None] | None = None
_hint: Callable[[str], str | None] | None = None


def use(
    find_line: Callable[[str, int], CellLine | None] | None,
    hint: Callable[[str], str | None] | None,
) -> None:
    """Set what knows the pushed cells, and what adds a way out to a message."""
    global _find_line, _hint  # noqa: PLW0603 - one notebook a kernel
    _find_line, _hint = find_line, hint


def edge(call: Callable[P, R]) -> Callable[P, R]:
    """Mark a call of ours that people make: its errors show their lines only."""

    @functools.wraps(call)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except ConvexlabError as error:
            present(error)
            raise

    return wrapped


def present(error: ConvexlabError) -> ConvexlabError:
    """Let an error show itself in a notebook by the user's lines."""
    hint = _hint(str(error)) if _hint is not None else None
    if hint and hint not in getattr(error, "__notes__", []):
        error.add_note(hint)
    # N.B. the instance, not the class: the classes know nothing of notebooks.
    error._render_traceback_ = functools.partial(render, error)  # type: ignore[attr-defined]  # noqa: SLF001 - IPython's protocol
    return error


def render(error: ConvexlabError) -> list[str]:
    """The error as IPython prints it."""
    lines: list[str] = []
    for place in [*_local_places(error.__traceback__), *_remote_places(error)]:
        lines += [*_excerpt(place), ""]
    name = type(error).__name__
    lines.append(f"{RED}{name}{PLAIN}: {error}")
    lines += [note for note in getattr(error, "__notes__", []) if not _is_remote(note)]
    return lines


def _is_remote(note: str) -> bool:
    return note.startswith("In the deployment:")


def _excerpt(place: Place) -> list[str]:
    within = f", in {place.function}" if place.function else ""
    lines = [f"{GREEN}{place.title}, line {place.line}{PLAIN}{within}"]
    first = max(1, place.line - CONTEXT_LINES)
    for number in range(first, min(len(place.source), place.line + CONTEXT_LINES) + 1):
        text = place.source[number - 1].rstrip()
        if number == place.line:
            lines.append(f"{GREEN}----> {number}{PLAIN} {text}".rstrip())
        else:
            lines.append(f"      {number} {text}".rstrip())
    return lines


# -- the lines that ran here ---------------------------------------------------


def _local_places(traceback: TracebackType | None) -> Iterator[Place]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        package = str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in OURS:
            number = cell_number(code.co_filename)
            title = f"File {code.co_filename}" if number is None else f"Cell In[{number}]"
            source = linecache.getlines(code.co_filename)
            within = None if code.co_name == "<module>" else code.co_name
            if number is not None or source:
                yield Place(title, source, traceback.tb_lineno, within)
        traceback = traceback.tb_next


def cell_number(filename: str) -> int | None:
    """The number of the cell that was compiled under this name."""
    import sys

    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell is not None else None
    # A private name of IPython's; without it the file's name is shown.
    known: dict[str, int] = getattr(getattr(shell, "compile", None), "_filename_map", {})
    return known.get(filename)


# -- the lines that ran in the deployment --------------------------------------


def _remote_places(error: ConvexlabError) -> Iterator[Place]:
    traceback = ""
    if isinstance(error, PushFailed):
        traceback = error.traceback or ""
        if error.path and error.line and not list(frames(traceback)):
            yield _place(RemoteFrame(error.path, error.line))
            return
    elif isinstance(error, FunctionFailed):
        traceback = error.traceback
    else:
        traceback = "\n".join(filter(_is_remote, getattr(error, "__notes__", [])))
    for frame in frames(traceback):
        yield _place(frame)


def _place(frame: RemoteFrame) -> Place:
    function = frame.function
    if function and function != "<module>":
        function = f"{frame.module}:{function}"
    else:
        function = None
    found = _find_line(frame.module, frame.line) if _find_line is not None else None
    if found is None:
        return Place(f"Module {frame.module}", (), frame.line, function)
    title = f"Module {frame.module}" if found.cell is None else f"Cell In[{found.cell}]"
    return Place(title, found.source, found.line, function)


def remote_lines(error: Any) -> list[RemoteFrame]:
    """The users' lines in an error's remote traceback."""
    return list(frames(getattr(error, "traceback", "") or ""))
