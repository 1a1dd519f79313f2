"""The sidebar on the page: what one sees of a deployment, and does to it, without a kernel."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tests.browser.pages import APP, PAGE_MS, RESULTS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Error, Locator, Page
    from tests.browser.jupyter import Jupyter

Theme = Literal["Light", "Dark", "Dark High Contrast"]


@dataclass
class Sidebar:
    """JupyterLab with the sidebar open."""

    page: Page
    jupyter: Jupyter
    #: What our scripts on the page threw.
    errors: list[str] = field(default_factory=list)

    def open(self) -> Sidebar:
        """Load the page, and show the sidebar as the palette would."""
        self.page.on("pageerror", self._note_error)
        self.page.goto(f"{self.jupyter.url}/lab?token=a-token-for-tests&reset")
        self.page.wait_for_selector(
            "#convexlab-sidebar", state="attached", timeout=PAGE_MS
        )
        self.do("convexlab:open-sidebar")
        self.page.wait_for_selector("[data-link='live']", timeout=PAGE_MS)
        return self

    def _note_error(self, error: Error) -> None:
        if "convexlab" in (error.stack or ""):
            self.errors.append(str(error))

    def do(self, command: str, **args: object) -> None:
        """Run one of JupyterLab's commands."""
        script = (
            f"async ([name, args]) => {{ await {APP}.commands.execute(name, args); }}"
        )
        self.page.evaluate(script, [command, args])

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
