"""The quickstart as a user meets it: real JupyterLab, real deployment, real browser.

The wheel is installed into a virtual environment of its own, on a machine without
Node. Then one journey, in the order in which a user would take it; each step stands
on the one before. The table must follow mutations from outside whatever happens to
the kernel, the page and the processes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.browser.installed import Environment, build_wheel
from tests.browser.jupyter import Jupyter
from tests.browser.pages import Notebook
from tests.deployments import until

from convexlab_kernel import discovery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"
ANSI = re.compile(r"\x1b\[\d*m")
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
        with urllib.request.urlopen(request, timeout=60) as response:
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

    def wait(self) -> None:
        """Wait until there is a deployment that answers."""
        until(lambda: discovery.running(self.folder) is not None, str)

    def kill(self) -> None:
        """End the gateway and all function processes at once, as a power cut would."""
        gateway = psutil.Process(self.address["pid"])
        for process in [*gateway.children(recursive=True), gateway]:
            process.send_signal(signal.SIGKILL)
        gateway.wait(60)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with all that we depend on, and nothing of ours."""
    made = Environment(tmp_path_factory.mktemp("environment") / "venv")
    made.make()
    return made


@pytest.fixture(scope="module")
def installed(
    empty: Environment,
    tmp_path_factory: pytest.TempPathFactory,
    browser_files: None,
) -> Iterator[Environment]:
    """The same with our wheel in it, which leaves no file when it is uninstalled."""
    before = empty.files
    empty.install(build_wheel(tmp_path_factory.mktemp("wheel")))
    assert empty.files != before
    yield empty
    empty.uninstall()
    assert empty.files == before


@pytest.fixture
def journey(tmp_path: Path, page: Page, installed: Environment) -> Iterator[Notebook]:
    """JupyterLab, open on a copy of the quickstart."""
    path = {"PATH": installed.variables["PATH"]}
    jupyter = Jupyter(tmp_path / "first", path, installed.python)
    jupyter.root.mkdir(parents=True)
    shutil.copy(QUICKSTART, jupyter.root)
    jupyter.start()
    try:
        yield Notebook(page, jupyter, QUICKSTART.name).open()
    finally:
        jupyter.stop()
        address = jupyter.root / ".convexlab" / "local" / "address.json"
        if address.exists():
            os.kill(json.loads(address.read_text())["pid"], signal.SIGTERM)


@pytest.fixture
def other(tmp_path: Path, journey: Notebook) -> Iterator[Jupyter]:
    """Another JupyterLab over the same folder, which does not run yet."""
    here = journey.jupyter
    one = Jupyter(tmp_path / "other", here.environment, here.python, here.root)
    yield one
    one.stop()


def test_installing_is_enough(installed: Environment) -> None:
    """Both extensions are enabled and sound, with no further command and no Node."""
    assert "node" not in {file.name for file in installed.files}
    said = installed.run("-m", "jupyter_server", "extension", "list")
    assert ANSI.sub("", said).count("convexlab.extension enabled") == 1
    assert "convexlab.extension  OK" in ANSI.sub("", said)
    said = installed.run("-m", "jupyterlab.labextensions", "list")
    assert "enabled OK (python, convexlab)" in ANSI.sub("", said)
    assert "error" not in said.lower()


@pytest.mark.timeout(400)
def test_the_table_follows_whatever_happens(journey: Notebook, other: Jupyter) -> None:
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
    table.element.scroll_into_view_if_needed()  # what nobody sees is not drawn
    outside.add("reloaded")
    table.wait_for_text("reloaded")

    # After everything was killed: the page finds its way back by itself, here to a
    # deployment that another JupyterLab over the same folder has started.
    outside.add("acknowledged")
    outside.kill()
    journey.jupyter.kill()
    other.start()
    outside.wait()
    journey.jupyter.start()
    table.wait_for_link("live")
    table.wait_for_text("acknowledged")
    outside.add("afterwards")
    table.wait_for_text("afterwards")

    # After the JupyterLab that had started it was killed: nothing was its own.
    other.kill()
    outside.add("other-killed")
    table.wait_for_text("other-killed")
    table.element.scroll_into_view_if_needed()
    journey.screenshot("quickstart-after-everything-was-killed")
    assert outside.run("query", "flights:to", dest="HNL", month=12, limit=1)
    assert journey.errors == []
