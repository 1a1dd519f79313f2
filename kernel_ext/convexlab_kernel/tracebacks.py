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
import sys
import sysconfig
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeAlias, TypeVar

from convexlab.errors import ConvexlabError, PushFailed
from convexlab_kernel.failures import RemoteFrame, frames
from convexlab_kernel.names import explained_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

P = ParamSpec("P")
R = TypeVar("R")

CONTEXT_LINES = 2
RED, GREEN, PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[0m"
LIBRARIES = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
)
OURS = ("convexlab", "convexlab_kernel", "convexlab_widgets", "IPython", "asyncio")


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


FindLine: TypeAlias = "Callable[[str, int], CellLine | None]"


class Notebook(Protocol):
    """What knows the cells that were pushed from this kernel."""

    @property
    def variables(self) -> Mapping[str, object]:
        """The notebook's variables."""

    def find_line(self, module: str, line: int) -> CellLine | None:
        """The cell's line that a module's line came from."""


def notebook() -> Notebook | None:
    """The notebook that this code runs in, once `%load_ext convexlab` has run."""
    shell = _shell()
    registry = getattr(getattr(shell, "magics_manager", None), "registry", {})
    found: Notebook | None = getattr(registry.get("ConvexMagics"), "notebook", None)
    return found


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


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


def present(
    error: ConvexlabError, *, find_line: FindLine | None = None
) -> ConvexlabError:
    """Let an error show itself in a notebook by the user's lines.

    Args:
        error: what is raised.
        find_line: knows the cells of modules that were tried and not pushed.
    """
    if hasattr(error, "_render_traceback_"):
        return error
    here = notebook()
    if here is not None:
        find_line = find_line or here.find_line
        note = explained_error(str(error), here.variables)
        if note is not None:
            error.add_note(note)
    # N.B. the instance, not the class: the classes know nothing of notebooks.
    error._render_traceback_ = functools.partial(render, error, find_line)  # type: ignore[attr-defined]  # IPython's protocol
    return error


def render(error: ConvexlabError, find_line: FindLine | None = None) -> list[str]:
    """The error as IPython prints it."""
    lines: list[str] = []
    there = [_place(frame, find_line) for frame in _remote_frames(error)]
    # A cell that cannot be pushed is to blame itself: its own line says enough.
    pushing = isinstance(error, PushFailed) and bool(there)
    here = [] if pushing else _local_places(error.__traceback__)
    for place in [*here, *there]:
        lines += [*_excerpt(place), ""]
    lines.append(f"{RED}{type(error).__name__}{PLAIN}: {error}")
    notes: list[str] = getattr(error, "__notes__", [])
    return lines + [note for note in notes if not _is_remote(note)]


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
        within = None if code.co_name == "<module>" else code.co_name
        number = cell_number(code.co_filename)
        if number is not None:
            source, above = _cell(number, code.co_filename)
            line = traceback.tb_lineno + above
            yield Place(f"Cell In[{number}]", source, line, within)
        elif _is_theirs(traceback.tb_frame.f_globals.get("__name__"), code.co_filename):
            source = linecache.getlines(code.co_filename)
            yield Place(f"File {code.co_filename}", source, traceback.tb_lineno, within)
        traceback = traceback.tb_next


def _is_theirs(module: object, filename: str) -> bool:
    """Whether a frame is the user's: neither ours, nor Python's, nor a package's."""
    ours = str(module).partition(".")[0] in OURS
    return not ours and not filename.startswith(("<", *LIBRARIES))


def _cell(number: int, filename: str) -> tuple[list[str], int]:
    """A cell as it was written, and how many blank lines IPython dropped above it.

    What IPython ran has its magics replaced, line for line.
    """
    history = getattr(_shell(), "history_manager", None)
    raw = getattr(history, "input_hist_raw", [])
    if not 0 < number < len(raw) or not raw[number]:
        return linecache.getlines(filename), 0
    lines = str(raw[number]).split("\n")
    above = next((n for n, line in enumerate(lines) if line.strip()), 0)
    return lines, above


def cell_number(filename: str) -> int | None:
    """The number of the cell that was compiled under this name."""
    # A private name of IPython's; without it the file's name is shown.
    compiler = getattr(_shell(), "compile", None)
    known: dict[str, int] = getattr(compiler, "_filename_map", {})
    return known.get(filename)


# -- the lines that ran in the deployment --------------------------------------


def _remote_frames(error: ConvexlabError) -> list[RemoteFrame]:
    if isinstance(error, PushFailed):
        found = list(frames(error.traceback or ""))
        if not found and error.path and error.line:
            found = [RemoteFrame(error.path, error.line)]
        return found
    notes: list[str] = getattr(error, "__notes__", [])
    return list(frames("\n".join(filter(_is_remote, notes))))


def _place(frame: RemoteFrame, find_line: FindLine | None) -> Place:
    named = frame.function and frame.function != "<module>"
    function = f"{frame.module}:{frame.function}" if named else None
    found = find_line(frame.module, frame.line) if find_line is not None else None
    if found is None:
        return Place(f"Module {frame.module}", (), frame.line, function)
    if found.cell is None:
        return Place(f"Module {frame.module}", found.source, found.line, function)
    source = _cell(found.cell, "")[0] or found.source
    return Place(f"Cell In[{found.cell}]", source, found.line, function)
