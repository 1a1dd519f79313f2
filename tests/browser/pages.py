"""A notebook on the page: what a user does with it, and what they see."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Error, JSHandle, Locator, Page
    from tests.browser.jupyter import Jupyter

RESULTS = Path(__file__).parents[2] / "test-results"
MIME = "application/vnd.convexlab.live.v1+json"
PAGE_MS = 120_000
APP = "window.jupyterapp"
KERNEL = f"{APP}?.shell.currentWidget?.sessionContext?.session?.kernel"

# What is open is closed first, saved or not.
OPEN_ALONE = f"""async path => {{
    for (const tab of [...{APP}.shell.widgets('main')]) tab.dispose();
    if (path) await {APP}.commands.execute('docmanager:open', {{ path }});
}}"""

App = Literal["lab", "notebook"]


def write_notebook(root: Path, name: str, cells: list[str | dict[str, Any]]) -> None:
    """Write a notebook: a string is a cell's source, a dict the mime bundle of an output."""
    kernel = {"name": "python3", "display_name": "Python 3"}
    book = {
        "cells": [_cell(number, cell) for number, cell in enumerate(cells)],
        # Signatures are made of contents: with its name in it, each has its own.
        "metadata": {"kernelspec": kernel, "title": name},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (root / name).write_text(json.dumps(book))


def _cell(number: int, cell: str | dict[str, Any]) -> dict[str, Any]:
    source, outputs = (cell, []) if isinstance(cell, str) else ("live", [_output(cell)])
    return {
        "cell_type": "code",
        "id": f"cell-{number}",
        "execution_count": None,
        "metadata": {},
        "source": source,
        "outputs": outputs,
    }


def _output(bundle: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "data": bundle, "metadata": {}}


def live_output(name: str, view: dict[str, Any] | None = None) -> dict[str, Any]:
    """The mime bundle of a live result of `state:get`."""
    spec = {"path": "state:get", "args": {"name": name}, "ts": "AAAAAAAAAAA="}
    if view is not None:
        spec["view"] = view
    return {
        MIME: {**spec, "deployment": "local"},
        "text/html": "<table class='static'><tr><td>static</td></tr></table>",
        "text/plain": "static",
    }


def output_of(said: dict[str, Any]) -> dict[str, Any]:
    """The mime bundle of anything of ours, as the kernel would have written it."""
    return {MIME: {"deployment": "local", **said}, "text/plain": "static"}


def open_lab(page: Page, jupyter: Jupyter) -> None:
    """JupyterLab with nothing open."""
    page.goto(f"{jupyter.url}/lab?token=a-token-for-tests&reset", timeout=PAGE_MS)
    page.wait_for_selector(".jp-Launcher", timeout=PAGE_MS)


@dataclass
class Notebook:
    """An open notebook, in JupyterLab or Notebook 7."""

    page: Page
    jupyter: Jupyter
    name: str
    app: App = "lab"
    #: What our scripts on the page threw.
    errors: list[str] = field(default_factory=list)

    def open(self) -> Notebook:
        self.page.on("pageerror", self._note_error)
        place = "lab/tree" if self.app == "lab" else "notebooks"
        query = f"?token=a-token-for-tests{'&reset' if self.app == 'lab' else ''}"
        url = f"{self.jupyter.url}/{place}/{self.name}{query}"
        self.page.goto(url, timeout=PAGE_MS)
        self._shown()
        return self

    def show(self) -> Notebook:
        """Open it alone in the JupyterLab that the page shows already."""
        self.page.on("pageerror", self._note_error)
        self.page.evaluate(OPEN_ALONE, self.name)
        self._shown()
        return self

    def close(self) -> None:
        """Leave the page's JupyterLab with nothing open."""
        self.page.remove_listener("pageerror", self._note_error)
        self.page.evaluate(OPEN_ALONE)

    def _note_error(self, error: Error) -> None:
        if "convexlab" in (error.stack or ""):
            self.errors.append(str(error))

    def reload(self) -> None:
        """Load the page again, as a user does with F5."""
        self.page.reload()
        self._shown()

    def _shown(self) -> None:
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=PAGE_MS)

    # -- the kernel ----------------------------------------------------------------

    def wait_for_kernel(self) -> None:
        """Wait until there is a kernel that has nothing to do."""
        self.page.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=PAGE_MS)

    def run_all(self, *, wait: bool = True) -> None:
        """Run all cells; without `wait`, go on while they run."""
        self.wait_for_kernel()
        command = f"{APP}.commands.execute('notebook:run-all-cells')"
        self.page.evaluate(
            f"async () => {{ await {command}; }}"
            if wait
            else f"() => {{ void {command}; }}"
        )

    def run_cell(self, number: int, *, wait: bool = True) -> None:
        """Run one cell, counted from 0."""
        self.wait_for_kernel()
        self.page.evaluate(
            f"n => {{ {APP}.shell.currentWidget.content.activeCellIndex = n; }}", number
        )
        command = f"{APP}.commands.execute('notebook:run-cell')"
        self.page.evaluate(
            f"async () => {{ await {command}; }}"
            if wait
            else f"() => {{ void {command}; }}"
        )

    def restart_kernel(self) -> None:
        """Restart the kernel, keeping the outputs."""
        context = f"{APP}.shell.currentWidget.sessionContext"
        self.page.evaluate(f"async () => {{ await {context}.restartKernel(); }}")
        self.wait_for_kernel()

    def shut_kernel_down(self) -> None:
        """End the kernel; the notebook stays open without one."""
        context = f"{APP}.shell.currentWidget.sessionContext"
        self.page.evaluate(f"async () => {{ await {context}.shutdown(); }}")

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate(
            f"async () => {{ await {APP}.commands.execute('docmanager:save'); }}"
        )

    # -- what is seen ----------------------------------------------------------------

    def live(self, number: int = 0) -> Live:
        """One of the live outputs, from above."""
        return Live(self.page.locator(".convexlab-live").nth(number))

    def show_cell(self, number: int) -> None:
        """Bring a cell in sight, as the notebook itself does."""
        self.page.evaluate(
            f"async n => {{ await {APP}.shell.currentWidget.content.scrollToItem(n); }}",
            number,
        )

    def live_in(self, cell: Locator) -> Live:
        """The live output, or the control, of a cell."""
        return Live(cell.locator(".convexlab-live").first)

    def outputs(self) -> list[str]:
        """The text of every output."""
        return self.page.locator(".jp-OutputArea-output").all_inner_texts()

    def set_theme(self, theme: Literal["light", "dark"]) -> None:
        """Switch the theme, without a reload."""
        name = f"JupyterLab {theme.capitalize()}"
        self.page.evaluate(
            f"async name => {{ await {APP}.commands.execute('apputils:change-theme', {{ theme: name }}); }}",
            name,
        )
        light = str(theme == "light").lower()
        self.page.wait_for_selector(
            f"body[data-jp-theme-light='{light}']", state="attached"
        )

    def screenshot(self, name: str) -> Path:
        """A picture of the page, in `test-results/`."""
        path = self.picture(name)
        self.page.screenshot(path=path)
        return path

    def picture(self, name: str) -> Path:
        """Where a picture of that name is kept."""
        RESULTS.mkdir(exist_ok=True)
        return RESULTS / f"{name}.png"


@dataclass
class Live:
    """A live output as it stands on the page."""

    element: Locator

    def wait_for(self, state: str = "value") -> Live:
        """Wait until it shows a value (or: is `waiting`, or says an `error`)."""
        self.element.and_(
            self.element.page.locator(f"[data-state='{state}']")
        ).wait_for(timeout=PAGE_MS)
        return self

    def wait_for_link(self, link: str) -> None:
        """Wait until its connection is `live`, `connecting` or `reconnecting`."""
        self.element.and_(self.element.page.locator(f"[data-link='{link}']")).wait_for(
            timeout=PAGE_MS
        )

    def wait_for_text(self, text: str) -> None:
        """Wait until a text stands in it."""
        self.element.get_by_text(text).first.wait_for(timeout=PAGE_MS)

    @property
    def updates(self) -> int:
        """How many values it has drawn."""
        return int(self.element.get_attribute("data-updates") or 0)

    @property
    def view(self) -> str | None:
        """Which view it has: table, card, metric, tree."""
        return self.element.get_attribute("data-view")

    @property
    def status(self) -> str:
        """What it says of its connection."""
        return self.element.locator(".status").inner_text()

    @property
    def failure(self) -> str:
        """What it says of its query's failure."""
        return self.element.locator(".failure").inner_text()

    @property
    def summary(self) -> str:
        """What its foot says of the value: "showing 8 of 8 rows · 3 columns"."""
        return self.element.locator(".summary").inner_text()

    @property
    def rows(self) -> list[list[str]]:
        """The texts of the rows in the document, from above."""
        found: list[list[str]] = self.element.evaluate(
            """host => [...host.shadowRoot.querySelectorAll('.row')]
                .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
                .map(row => [...row.children].map(cell => cell.textContent))"""
        )
        return found

    @property
    def columns(self) -> list[str]:
        """The names of its columns."""
        return self.element.locator(".heading .name").all_inner_texts()

    def evaluate_handle(self, script: str) -> JSHandle:
        """What a function of its shadow root gives, kept on the page."""
        return self.element.evaluate_handle(f"host => ({script})(host.shadowRoot)")

    def evaluate(self, script: str, argument: object = None) -> Any:
        """Run a function of its shadow root (`root => …`)."""
        return self.element.evaluate(
            f"(host, argument) => ({script})(host.shadowRoot, argument)", argument
        )
