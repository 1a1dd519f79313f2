"""How far a long insert is: a line that is redrawn while rows are written, then none.

In a notebook it is HTML that is replaced where it stands, not a widget: what a page
saves of it is empty, so that a notebook says nothing that is no longer so, and has the
same outputs when it runs again. In a terminal it is tqdm's bar.
"""

from __future__ import annotations

import html
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from convexlab import knobs
from convexlab_kernel import display

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Show = Callable[[dict[str, str]], object]

EMPTY = {"text/plain": "", "text/html": ""}


class Progress(Protocol):
    """What is told how many more rows have been written."""

    def update(self, n: int, /) -> object:
        """Count `n` more."""


@contextmanager
def bar(table: str, rows: int | None = None) -> Iterator[Progress]:
    """A progress bar, for what takes longer than a moment.

    Args:
        table: where rows are written.
        rows: how many will be; None: nobody knows.
    """
    show = _on_the_page()
    if show is None:
        with _in_the_terminal(table, rows) as shown:
            yield shown
        return
    line = Line(table, rows, show)
    try:
        yield line
    finally:
        line.clear()


class Line:
    """The line of one insert on the page.

    Args:
        table: where rows are written.
        rows: how many will be; None: nobody knows.
        show: draws a mime bundle in the place of the one before.
        clock: seconds, from any moment on.
    """

    def __init__(
        self,
        table: str,
        rows: int | None,
        show: Show,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table
        self._rows = rows
        self._show = show
        self._clock = clock
        self._began = clock()
        self._next = self._began + knobs.PROGRESS_AFTER_SECONDS
        self._written = 0
        self._is_shown = False

    def update(self, n: int, /) -> None:
        """Count `n` more, and say so, but not more often than one can read."""
        self._written += n
        if self._clock() < self._next:
            return
        self._next = self._clock() + knobs.PROGRESS_EVERY_SECONDS
        self._is_shown = True
        self._show(self._drawn())

    def clear(self) -> None:
        """Leave nothing."""
        if self._is_shown:
            self._show(EMPTY)

    def _drawn(self) -> dict[str, str]:
        said = self._said()
        full = f' max="{self._rows}" value="{self._written}"' if self._rows else ""
        name = html.escape(f"{self._table}: documents written")
        drawn = f'<progress aria-label="{name}"{full} style="width:16em"></progress>'
        note = f"{display.NOTE}{drawn} {html.escape(said)}</div>"
        return {"text/plain": said, "text/html": note}

    def _said(self) -> str:
        if self._rows is None:
            return f"{self._table}: {display.counted(self._written, 'documents')}"
        whole = display.counted(self._rows, "documents")
        return f"{self._table}: {self._written:,} of {whole}{self._left(self._rows)}"

    def _left(self, rows: int) -> str:
        """About how long it will take: as long as it took for each row so far."""
        spent = self._clock() - self._began
        seconds = spent * (rows - self._written) / max(1, self._written)
        return f" · {seconds:,.0f} s left" if seconds >= 1 else ""


def _on_the_page() -> Show | None:
    """Draws a bundle in the place of the one before; None where there is no page."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython
    from IPython.display import DisplayHandle

    if not hasattr(get_ipython(), "kernel"):
        return None

    handle: Any = None

    def show(bundle: dict[str, str]) -> None:
        nonlocal handle
        if handle is None:
            handle = DisplayHandle()  # type: ignore[no-untyped-call]
            handle.display(bundle, raw=True)
        else:
            handle.update(bundle, raw=True)

    return show


def _in_the_terminal(table: str, rows: int | None) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=rows,
        desc=table,
        unit=" documents",
        leave=False,
        delay=knobs.PROGRESS_AFTER_SECONDS,
    )
