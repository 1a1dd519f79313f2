"""A real page for benchmarks: JupyterLab in Chromium beside a deployment, with a probe in it.

The probe is a script that every page runs before its own: it notes when what somebody
waits for has been painted, how long frames take, and which tasks held the page up.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.benchmarks.deployments import Deployment, deployment
from tests.browser.chromium import launched
from tests.browser.files import build_browser_files
from tests.browser.jupyter import Jupyter
from tests.browser.pages import Notebook, open_lab, write_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

# `after` runs when the frame that is being made has been painted: what is drawn while
# frame callbacks run is in that frame, anything else in the next one.
PROBE = """(() => {
    const frame = window.requestAnimationFrame.bind(window);
    const now = () => performance.timeOrigin + performance.now();
    let framing = false;
    const soon = then => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => then(now());
        channel.port2.postMessage(null);
    };
    window.requestAnimationFrame = work => frame(at => {
        if (!framing) { framing = true; soon(() => { framing = false; }); }
        work(at);
    });
    const after = then => framing ? soon(then) : frame(() => soon(then));
    const tasks = [];
    new PerformanceObserver(list => tasks.push(...list.getEntries().map(e => e.duration)))
        .observe({ type: 'longtask' });
    window.probe = {
        now,
        /** Notes in `painted` when each text that `read` gives was first on the screen. */
        watch(root, read) {
            const painted = {};
            const look = () => {
                const text = read();
                if (text && !(text in painted)) after(at => { painted[text] ??= at; });
            };
            const what = { subtree: true, childList: true, characterData: true };
            new MutationObserver(look).observe(root, what);
            return this.painted = painted;
        },
        /** Does something; the milliseconds until `there` was true on the screen. */
        until(work, there) {
            return new Promise((told, fail) => {
                const began = now();
                const look = () => {
                    if (there()) soon(at => told(at - began));
                    else if (now() - began > 120000) fail(new Error('nothing came'));
                    else frame(look);
                };
                work();
                frame(look);
            });
        },
        /** The milliseconds of each frame until the time is over, and the tasks of over 50 ms. */
        frames(milliseconds, each = () => {}) {
            tasks.length = 0;
            return new Promise(told => {
                const took = [];
                let before = null;
                const end = performance.now() + milliseconds;
                const next = at => {
                    if (before !== null) took.push(at - before);
                    before = at;
                    if (at >= end) return soon(() => told({ frames: took, tasks: [...tasks] }));
                    each(took.length);
                    frame(next);
                };
                frame(next);
            });
        },
    };
})()"""


@dataclass(slots=True)
class Desk:
    """A deployment, the Jupyter server beside it, and a browser."""

    served: Deployment
    jupyter: Jupyter
    context: BrowserContext
    #: Shared by all notebooks, where pages of their own would cost too much.
    shared: Page | None = None

    @contextlib.contextmanager
    def notebook(
        self, name: str, cells: list[str | dict[str, Any]]
    ) -> Iterator[Notebook]:
        """A trusted notebook, open in JupyterLab; closed with its kernel at the end."""
        write_notebook(self.jupyter.root, name, cells)
        self.jupyter.trust(name)
        page = self.shared or self.context.new_page()
        notebook = Notebook(page, self.jupyter, name)
        try:
            yield notebook.show() if self.shared else notebook.open()
        finally:
            notebook.close() if self.shared else page.close()
            self.jupyter.end_kernels()


@contextlib.contextmanager
def desk(
    folder: Path, modules: Mapping[str, str], *, one_page: bool = False
) -> Iterator[Desk]:
    """JupyterLab over a deployment that runs these modules.

    Args:
        folder: for all of it.
        modules: what runs there.
        one_page: whether all notebooks are shown on one page, which says little of times.
    """
    build_browser_files()
    jupyter = Jupyter(folder)
    with (
        deployment(jupyter.deployment, modules, "--detached") as served,
        launched() as browser,
    ):
        jupyter.start()
        try:
            context = browser.new_context(viewport={"width": 1280, "height": 860})
            context.add_init_script(PROBE)
            shared = context.new_page() if one_page else None
            if shared:
                open_lab(shared, jupyter)
            yield Desk(served, jupyter, context, shared)
        finally:
            jupyter.stop()


def clock_ahead(page: Page) -> float:
    """How many milliseconds the page's clock is ahead of ours; of ten looks, the quickest."""
    looks = []
    for _ in range(10):
        began = time.time()
        there = page.evaluate("probe.now()")
        ended = time.time()
        looks.append((ended - began, there - (began + ended) / 2 * 1e3))
    return float(min(looks)[1])
