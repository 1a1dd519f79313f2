"""How long until a page is live again after something under it was killed?

Two JupyterLabs over one folder, and a live output on the second one's page. From the
kill until the page has painted a mutation that is sent as soon as anybody takes it: after
the kernel's end, after that of the JupyterLab that had started the deployment, after the
deployment's own, and after the end of both at once. Of the page's own JupyterLab the time
counts from when it answers again. The reference is the deployment's start alone, until it
has taken a mutation.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import psutil
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.benchmarks.live_page import PROBE, clock_ahead
from tests.browser.chromium import launched
from tests.browser.files import build_browser_files
from tests.browser.jupyter import Jupyter
from tests.browser.pages import Notebook, live_output, write_notebook
from tests.browser.state import State

from convexlab_kernel import discovery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

NOTEBOOK = "again.ipynb"


def run(options: Options) -> Iterator[Table]:
    times = options.count(7, 1)
    build_browser_files()
    root = options.folder / "notebooks"
    first, second = (
        Jupyter(options.folder / name, notebooks=root) for name in ("first", "second")
    )
    state = State(first.deployment)
    discovery.prepare(state.folder)
    try:
        for each in (first, second):
            each.home.mkdir()
            each.start()
        state.open()
        state.put("again", "before")
        with launched() as browser:
            page = browser.new_page()
            page.add_init_script(PROBE)
            notebook = _opened(page, second)
            harms = _harms(notebook, first, state.folder)
            took = [
                (what, [_again(notebook, state, harm) for _ in range(times)])
                for what, harm in islice(harms.items(), options.count(len(harms), 2))
            ]
        starts = [_start(state) for _ in range(times)]
    finally:
        first.stop()
        second.stop()
        with contextlib.suppress(psutil.NoSuchProcess):
            _kill_deployment(state.folder)
    base = percentile(starts, 50)
    table = Table(
        "from a kill until the page has painted a mutation of after it; "
        "ratio of medians to the deployment's start alone",
        "kill",
        [
            Row(what, None, each, ratio=percentile(each, 50) / base)
            for what, each in took
        ],
        ["target: live again within 3,000 ms"],
    )
    table.rows.append(Row("the deployment's start alone", None, starts, ratio=1.0))
    yield table


def _opened(page: Page, jupyter: Jupyter) -> Notebook:
    """A notebook with a kernel, and a live output that is probed."""
    write_notebook(jupyter.root, NOTEBOOK, ["1", live_output("again")])
    jupyter.trust(NOTEBOOK)
    notebook = Notebook(page, jupyter, NOTEBOOK).open()
    notebook.wait_for_kernel()
    notebook.live().wait_for()
    return notebook


def _harms(
    notebook: Notebook, first: Jupyter, folder: Path
) -> dict[str, Callable[[], float]]:
    """What may happen, by name; each tells when it had happened, in ms since 1970."""
    own = notebook.jupyter
    return {
        "the kernel": partial(_kill, lambda: _kill_kernel(own)),
        "the JupyterLab that started the deployment": partial(_kill, first.kill, first),
        "the deployment": partial(_kill, lambda: _kill_deployment(folder)),
        "both": partial(_kill, lambda: (first.kill(), _kill_deployment(folder)), first),
        "the page's own JupyterLab, from its return": partial(
            _kill, lambda: (own.kill(), own.start())
        ),
    }


def _kill(kill: Callable[[], object], needed: Jupyter | None = None) -> float:
    if needed is not None and needed.process is None:
        needed.start()
    kill()
    return time.time() * 1e3


def _kill_kernel(jupyter: Jupyter) -> None:
    assert jupyter.process is not None
    for process in psutil.Process(jupyter.process.pid).children():
        process.kill()


def _kill_deployment(folder: Path) -> None:
    """With all its processes, as a power cut would."""
    address = discovery.read_address(folder)
    assert address is not None
    gateway = psutil.Process(address.pid)
    for process in [gateway, *gateway.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    while _lives(gateway):
        time.sleep(0.005)


def _lives(process: psutil.Process) -> bool:
    """N.B. whoever started it may let it lie: then it is gone, and has its number still."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _start(state: State) -> float:
    """Milliseconds from starting a deployment that was killed until it took a mutation."""
    _kill_deployment(state.folder)
    began = time.perf_counter()
    discovery.attach(state.folder)
    state.put("again", "started")
    return (time.perf_counter() - began) * 1e3


def _again(notebook: Notebook, state: State, harm: Callable[[], float]) -> float:
    """Milliseconds from the harm until a mutation of after it is painted."""
    ahead = clock_ahead(notebook.page)
    stamp = f"stamp {time.time_ns()}"
    notebook.live().evaluate(
        "(root, stamp) => { probe.watch(root, () => "
        "root.textContent.includes(stamp) ? stamp : null); }",
        stamp,
    )
    began = harm()
    state.put("again", stamp)
    notebook.page.wait_for_function("stamp => stamp in probe.painted", arg=stamp)
    painted = notebook.page.evaluate("stamp => probe.painted[stamp]", stamp)
    return float(painted) - ahead - began
