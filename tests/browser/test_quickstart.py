"""The quickstart as a user meets it: real JupyterLab, real deployment, real browser.

One journey, in the order in which a user would take it; each step stands on the
one before. The table must follow mutations from outside whatever happens to the
kernel, the page and the processes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.browser.jupyter import Jupyter
from tests.browser.pages import Notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"
FLIGHTS = 336_776
BUSY = """
import pathlib
while not pathlib.Path("let-go").exists():
    pass
"""


@dataclass
class Outside:
    """Another program on the machine: it knows the address for clients, no more."""

    folder: Path

    @property
    def address(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "address.json").read_text())
        return found

    def run(self, kind: str, path: str, **args: Any) -> Any:
        """Call a function by the official HTTP API."""
        url = f"{self.address['url']}/c/{self.address['secret']}/api/{kind}"
        body = json.dumps({"path": path, "args": args, "format": "json"}).encode()
        request = urllib.request.Request(
            url, data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.loads(response.read())
        assert answer["status"] == "success", answer
        return answer["value"]

    def add(self, carrier: str) -> None:
        """A flight whose carrier the table will show."""
        self.run(
            "mutation",
            "flights:add",
            carrier=carrier,
            flight=1,
            origin="EWR",
            dest="HNL",
        )

    def kill(self) -> None:
        """End the gateway and all function processes at once, as a power cut would."""
        gateway = psutil.Process(self.address["pid"])
        for process in [*gateway.children(recursive=True), gateway]:
            process.send_signal(signal.SIGKILL)
        gateway.wait(30)


@pytest.fixture
def journey(tmp_path: Path, page: Page, browser_files: None) -> Iterator[Notebook]:
    """JupyterLab, open on a copy of the quickstart."""
    jupyter = Jupyter(tmp_path)
    jupyter.root.mkdir()
    shutil.copy(QUICKSTART, jupyter.root)
    jupyter.start()
    try:
        yield Notebook(page, jupyter, QUICKSTART.name).open()
    finally:
        jupyter.stop()
        address = jupyter.root / ".convexlab" / "local" / "address.json"
        if address.exists():
            os.kill(json.loads(address.read_text())["pid"], signal.SIGTERM)


@pytest.mark.timeout(400)
def test_the_table_follows_whatever_happens(journey: Notebook) -> None:
    """A mutation from outside is seen while the kernel is busy, restarted, away, and
    after everything was killed; nothing acknowledged is lost."""
    outside = Outside(journey.jupyter.root / ".convexlab" / "local")
    journey.run_all()
    table = journey.live().wait_for()
    assert table.summary.startswith("showing 50 of 50 rows"), table.summary
    table.element.scroll_into_view_if_needed()
    journey.screenshot("quickstart")

    outside.add("from-outside")
    table.wait_for_text("from-outside")

    # While the kernel is in a loop.
    journey.page.evaluate(
        "source => { const nb = window.jupyterapp.shell.currentWidget.content;"
        " nb.model.sharedModel.addCell({ cell_type: 'code', source }); }",
        BUSY,
    )
    cells = "window.jupyterapp.shell.currentWidget.content.widgets.length"
    journey.run_cell(journey.page.evaluate(cells) - 1, wait=False)
    journey.page.wait_for_selector(".jp-InputPrompt >> text='[*]:'")
    outside.add("while-busy")
    table.wait_for_text("while-busy")
    (journey.jupyter.root / "let-go").touch()
    journey.wait_for_kernel()

    # After the kernel was restarted, with no cell run.
    journey.restart_kernel()
    outside.add("restarted")
    table.wait_for_text("restarted")

    # After the page was reloaded, with no cell run.
    journey.save()
    journey.reload()
    table = journey.live().wait_for()
    outside.add("reloaded")
    table.wait_for_text("reloaded")

    # After everything was killed: the page finds its way back by itself.
    outside.add("acknowledged")
    outside.kill()
    journey.jupyter.kill()
    journey.jupyter.start()
    table.wait_for_link("live")
    table.wait_for_text("acknowledged")
    outside.add("afterwards")
    table.wait_for_text("afterwards")
    table.element.scroll_into_view_if_needed()
    journey.screenshot("quickstart-after-everything-was-killed")
    assert outside.run("query", "flights:to", dest="HNL", month=12, limit=1)
    assert journey.errors == []
