"""The sidebar on the page: what one sees of a deployment, and does to it, without a kernel."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tests.browser.pages import APP, PAGE_MS, RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Error, Locator, Page, Route
    from tests.browser.jupyter import Jupyter

Theme = Literal["Light", "Dark", "Dark High Contrast"]
FILES = "**/api/contents/**"


@dataclass
class Sidebar:
    """JupyterLab with the sidebar open."""

    page: Page
    jupyter: Jupyter
    #: What our scripts on the page threw.
    errors: list[str] = field(default_factory=list)

    def open(self) -> Sidebar:
        """Load the page, and show the sidebar."""
        self.page.on("pageerror", self._note_error)
        self.page.goto(f"{self.jupyter.url}/lab?token=a-token-for-tests&reset")
        self._wait_for("#convexlab-sidebar")
        self._show()
        self.page.wait_for_selector("[data-link='live']", timeout=PAGE_MS)
        return self

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Load the page again: in here JupyterLab still waits for the files of its tabs."""
        held: list[Route] = []

        def hold(route: Route) -> None:  # Playwright takes no built-in function
            held.append(route)

        self.page.route(FILES, hold)
        self.page.reload()
        self._wait_for("#convexlab-sidebar")
        yield
        for route in held:
            route.continue_()
        self.page.unroute(FILES)
        self._show()

    def _show(self) -> None:
        """As the palette would.

        N.B. when JupyterLab has its tabs again it goes on to open the file that the
        page's address names, which comes before whatever one has opened meanwhile.
        """
        self._wait_for("#filebrowser:not(.jp-mod-restoring)")
        self.do("convexlab:open-sidebar")

    def _wait_for(self, selector: str) -> None:
        self.page.wait_for_selector(selector, state="attached", timeout=PAGE_MS)

    def _note_error(self, error: Error) -> None:
        if "convexlab" in (error.stack or ""):
            self.errors.append(str(error))

    def do(self, command: str, *, wait: bool = True, **args: object) -> None:
        """Run one of JupyterLab's commands; without `wait`, go on while it runs."""
        done = f"{APP}.commands.execute(name, args)"
        script = f"async ([name, args]) => {{ {'await' if wait else 'void'} {done}; }}"
        self.page.evaluate(script, [command, args])

    def active_source(self) -> str:
        """What the active cell says, drawn or not."""
        cell = f"{APP}.shell.currentWidget.content.activeCell"
        return str(self.page.evaluate(f"{cell}.model.sharedModel.getSource()"))

    def section(self, name: str) -> Locator:
        """What stands in a section of the panel."""
        return self.page.locator(f"#convexlab-{name}")

    def entry(self, section: str, name: str) -> Locator:
        """A line of a section, with what is below it."""
        return self.section(section).locator(f".convexlab-entry[data-name='{name}']")

    def only(self, *labels: str) -> None:
        """Have these sections open, and the others folded."""
        titles = self.page.locator("#convexlab-sidebar .jp-AccordionPanel-title")
        for title in titles.all():
            is_open = title.get_attribute("aria-expanded") == "true"
            if is_open != (title.inner_text().strip().title() in labels):
                title.click()

    def set_theme(self, theme: Theme) -> None:
        """Switch the theme, without a reload."""
        self.do("apputils:change-theme", theme=f"JupyterLab {theme}")
        self.page.wait_for_selector(
            f"body[data-jp-theme-name='JupyterLab {theme}']", state="attached"
        )

    def picture(self, name: str) -> Path:
        """A picture of the page, in `test-results/`."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"sidebar-{name}.png"
        self.page.screenshot(path=path)
        return path
