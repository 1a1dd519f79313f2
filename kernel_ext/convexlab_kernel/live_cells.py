"""`%%live`: a cell that stays current, and `%live`, which pauses and ends it.

    %%live --every 1s
    db.sql("select carrier, count(*) n from flights group by 1").df().plot.bar()

A cell is live until it is run again, deleted (as JupyterLab tells with the next cell
that runs) or stopped. It needs a kernel with a page; elsewhere it runs once.
"""

from __future__ import annotations

import contextlib
import html
import re
import uuid
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.errors import InvalidArguments, NotFound
from convexlab_kernel import display
from convexlab_kernel.line import Text
from convexlab_kernel.live_cell import LiveCell, Outcome, Output
from convexlab_kernel.options import Options
from convexlab_kernel.views import is_unattended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab_kernel.notebook import Notebook

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}
HELP = """%%live [--every 1s] [--paused]
    The cell runs again when a query, a statement or a table that it reads changes,
    but not more often than --every. --paused: it waits for %live resume.
%live
    The live cells and what they follow.
%live pause | resume | stop [N]
    Pause, go on with or end the live cell In[N], or all of them."""


class LiveCells:
    """The live cells of one notebook.

    Args:
        notebook: whose.
    """

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._shell: Any = notebook.shell
        self._cells: dict[str, tuple[int | None, LiveCell]] = {}

    # -- %%live ------------------------------------------------------------------

    def run(self, line: str, body: str) -> None:
        """Run a cell, and again whenever what it reads has changed."""
        every, paused = _options(line)
        # The line keeps its place, so that line k is line k of the cell.
        code = f"# %%live {line}\n{body}"
        if self._shell.should_run_async(
            code, transformed_cell=self._shell.transform_cell(code)
        ):
            raise InvalidArguments(
                "A %%live cell has no `await` of its own: put it into a function, or into "
                "a cell above."
            )
        name = self._notebook.cell_id or body
        self.end(name)
        number = self._notebook.cell_number()
        page, turns = LivePage(self._shell), _turns(self._shell)
        cell = LiveCell(
            lambda: run_once(self._shell, code, number),
            turns=turns or NoTurns(),
            page=page,
            every=every,
            paused=paused,
        )
        page.shown(cell, cell.start(), live=turns is not None)
        if turns is None:
            cell.close()
        elif not cell.ended:
            self._cells[name] = (number, cell)

    # -- %live -------------------------------------------------------------------

    def command(self, line: str) -> Text:
        """What `%live …` does."""
        words = Options(line).words
        word, numbers = (words[0], words[1:]) if words else ("", [])
        does: dict[str, Callable[[LiveCell], None]] = {
            "": lambda _: None,
            "pause": LiveCell.pause,
            "resume": LiveCell.resume,
            "stop": LiveCell.close,
        }
        if word not in does or len(numbers) > 1:
            raise InvalidArguments(f"%live takes pause, resume or stop.\n{HELP}")
        chosen = self._chosen(numbers)
        for _, cell in chosen:
            does[word](cell)
        lines = [f"In[{number}]: {cell.status}" for number, cell in chosen]
        self._forget_ended()
        return Text("\n".join(lines) or "No cell is live: %%live makes one so.")

    def _chosen(self, numbers: list[str]) -> list[tuple[int | None, LiveCell]]:
        found = [
            one for one in self._cells.values() if not numbers or str(one[0]) in numbers
        ]
        if numbers and not found:
            known = ", ".join(f"In[{number}]" for number, _ in self._cells.values())
            raise NotFound(
                f"In[{numbers[0]}] is not live; live are: {known or 'none'}."
            )
        return found

    # -- when they end -----------------------------------------------------------

    def before_cell(self, info: Any) -> None:
        """A cell is about to run: it is not live any longer, nor are deleted ones."""
        request = getattr(self._shell, "parent_header", None) or {}
        deleted = (request.get("metadata") or {}).get("deletedCells") or ()
        for name in (getattr(info, "cell_id", None), *deleted):
            if name is not None:
                self.end(name)

    def end(self, name: str) -> None:
        """End the live cell of this id, if there is one."""
        _, cell = self._cells.pop(name, (None, None))
        if cell is not None:
            cell.close()

    def close(self) -> None:
        """End all of them."""
        for name in list(self._cells):
            self.end(name)

    def _forget_ended(self) -> None:
        for name, (_, cell) in list(self._cells.items()):
            if cell.ended:
                del self._cells[name]


# -- running -------------------------------------------------------------------


def run_once(shell: Any, code: str, number: int | None = None) -> Outcome:
    """Run code as a cell, its outputs and its traceback kept instead of shown.

    Args:
        shell: the kernel's.
        code: the cell's lines.
        number: as which cell tracebacks name it, `In[3]`.
    """
    from IPython.utils.capture import capture_output

    traceback: list[str] = []
    # N.B. the trap first: else running a cell puts back the hook that shows results.
    with (
        shell.display_trap,
        capture_output() as captured,
        _kept_tracebacks(shell, traceback),
        _numbered(shell, number),
    ):
        result = shell.run_cell(code, store_history=False)
    outputs = [Output(one.data or {}, one.metadata or {}) for one in captured.outputs]
    if captured.stdout:
        outputs.insert(0, Output({"text/plain": captured.stdout.rstrip("\n")}))
    if captured.stderr:
        outputs.append(_as_error(captured.stderr.rstrip("\n")))
    error = result.error_before_exec or result.error_in_exec
    return Outcome(outputs, error, traceback)


@contextlib.contextmanager
def _kept_tracebacks(shell: Any, kept: list[str]) -> Iterator[None]:
    """Keep what IPython would print: a kernel sends it past what captures outputs."""
    instead = vars(shell).get("_showtraceback")
    shell._showtraceback = lambda _type, _value, lines: kept.extend(lines)  # noqa: SLF001 - IPython's place for it
    try:
        yield
    finally:
        if instead is None:
            del shell._showtraceback  # noqa: SLF001 - the class's own comes back
        else:
            shell._showtraceback = instead  # noqa: SLF001


@contextlib.contextmanager
def _numbered(shell: Any, number: int | None) -> Iterator[None]:
    """Let IPython compile what runs as the cell of this number."""
    before = shell.execution_count
    shell.execution_count = number or before
    try:
        yield
    finally:
        shell.execution_count = before


def _as_error(text: str) -> Output:
    return Output({"application/vnd.jupyter.stderr": text, "text/plain": text})


class LoopTurns:
    """A kernel's thread, by its event loop."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def soon(self, call: Callable[[], None]) -> None:
        """Call there; from any thread."""
        self._loop.add_callback(call)

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:
        """Call there after a while."""
        timer = self._loop.call_later(seconds, call)
        return lambda: self._loop.remove_timeout(timer)


class NoTurns:
    """A shell without a kernel: there is nothing to run on between cells."""

    def soon(self, call: Callable[[], None]) -> None:
        """Nothing is called."""

    def later(self, seconds: float, call: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002
        """Nothing is called."""
        return lambda: None


def _turns(shell: Any) -> LoopTurns | None:
    loop = getattr(getattr(shell, "kernel", None), "io_loop", None)
    return LoopTurns(loop) if loop is not None else None


# -- the page ------------------------------------------------------------------


class LivePage:
    """A live cell's outputs on the page, each with an id by which it is replaced.

    Args:
        shell: the kernel's.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._parent: Any = None
        self._slots: list[str] = []
        self._control: Control | None = None

    def shown(self, cell: LiveCell, outcome: Outcome, *, live: bool) -> None:
        """Show the first run; raise its error as the cell's own."""
        self._parent = getattr(self._shell, "parent_header", None)
        if live and outcome.error is None:
            self._control = Control(cell, self._shell)
            self._control.show()
        self._add(outcome.outputs)
        if outcome.error is not None:
            lines = outcome.traceback
            # N.B. the instance: the run has formatted it, by the cell's own lines.
            with contextlib.suppress(AttributeError):
                outcome.error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]
            raise outcome.error

    def show(self, outcome: Outcome) -> None:
        """Show what a run left, in place of what the run before left."""
        outputs = list(outcome.outputs)
        if outcome.error is not None:
            outputs.append(_as_error("\n".join(outcome.traceback)))
        if len(outputs) > len(self._slots):
            self._redraw(outputs)
            return
        outputs += [Output({"text/plain": ""})] * (len(self._slots) - len(outputs))
        for slot, output in zip(self._slots, outputs, strict=True):
            self._publish(output, slot, update=True)

    def tell(self, status: str, *, paused: bool) -> None:
        """Show how it stands."""
        if self._control is not None:
            self._control.tell(status, paused=paused)

    def _redraw(self, outputs: list[Output]) -> None:
        """More outputs than there were: all anew, as the first run's cell shows them."""
        before = getattr(self._shell, "parent_header", None)
        set_parent = getattr(self._shell, "set_parent", lambda _: None)
        set_parent(self._parent)
        try:
            self._shell.display_pub.clear_output(wait=True)
            self._slots = []
            if self._control is not None:
                self._control.show()
            self._add(outputs)
        finally:
            set_parent(before)

    def _add(self, outputs: list[Output]) -> None:
        for output in outputs:
            self._slots.append(uuid.uuid4().hex)
            self._publish(output, self._slots[-1], update=False)

    def _publish(self, output: Output, slot: str, *, update: bool) -> None:
        self._shell.display_pub.publish(
            output.data,
            output.metadata,
            transient={"display_id": slot},
            update=update,
        )


class Control:
    """A button that pauses a live cell, and what is said of it.

    Args:
        cell: the live cell.
        shell: the kernel's.
    """

    def __init__(self, cell: LiveCell, shell: Any) -> None:
        import ipywidgets

        self._cell = cell
        self._shell = shell
        self._text = ipywidgets.HTML(_note(cell.status))
        self._button = ipywidgets.ToggleButton(
            value=cell.paused,
            icon="pause",
            tooltip="Pause this cell",
            # Without padding: with it, the icon has no room, and is cut.
            layout=ipywidgets.Layout(width="32px", padding="0"),
        )
        self._button.observe(self._clicked, "value")
        self._box = ipywidgets.HBox([self._button, self._text])

    def show(self) -> None:
        """Put it on the page; without scripts, what is said is plain."""
        data = {} if is_unattended() else dict(self._box._repr_mimebundle_())
        data["text/html"] = _note(self._cell.status)
        data["text/plain"] = self._cell.status
        self._shell.display_pub.publish(data)

    def tell(self, status: str, *, paused: bool) -> None:
        """Say how it stands."""
        self._text.value = _note(status)
        self._button.value = paused
        if self._cell.ended:
            self._button.layout.display = "none"

    def _clicked(self, change: Any) -> None:
        self._cell.press(paused=change["new"])


def _note(status: str) -> str:
    return f"{display.NOTE}{html.escape(status)}</div>"


def _options(line: str) -> tuple[float, bool]:
    """How often at most, in seconds; and whether it waits at first."""
    options = Options(line, values=("every",), flags=("paused",))
    if options.words:
        raise InvalidArguments(f"%%live takes no {options.words[0]}.\n{HELP}")
    said = options.value("every")
    found = _DURATION.fullmatch(said) if said is not None else None
    if said is not None and found is None:
        raise InvalidArguments(f"--every takes a time, 1s or 500ms, not {said!r}.")
    every = float(found[1]) * _SECONDS[found[2]] if found else knobs.LIVE_CELL_SECONDS
    return every, options.flag("paused")
