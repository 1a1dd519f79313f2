"""`%%live` on the page: its cell runs again while the kernel has nothing else to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.pages import Notebook
    from tests.browser.state import State

CELLS = [
    "%load_ext convexlab\nimport convexlab\ndb = convexlab.connect()",
    "%%live --every 50ms\n"
    'value = db.query("state:get", name="live")\n'
    'print("value:", value)\n'
    'for n in range(value["n"]):\n'
    '    display(f"output {n}")\n',
    "%live",
]


def test_a_live_cell_follows_data_is_paused_and_ends_with_its_cell(
    open_notebook: Callable[..., Notebook], state: State
) -> None:
    state.put("live", {"n": 1})
    notebook = open_notebook("live_cell.ipynb", CELLS)
    notebook.wait_for_kernel()
    notebook.run_all()
    cell = notebook.page.locator(".jp-CodeCell").nth(1)
    expect(cell).to_contain_text("output 0")
    expect(cell).to_contain_text("live · follows state:get · ran once")
    # More outputs than there were, then fewer; each in the cell's own output.
    state.put("live", {"n": 3})
    expect(cell).to_contain_text("output 2")
    outputs = cell.locator(".jp-OutputArea-output")
    expect(outputs.get_by_text("value:")).to_have_count(1)
    state.put("live", {"n": 2})
    expect(cell).not_to_contain_text("output 2")
    expect(cell).to_contain_text("ran 3 times")
    button = cell.locator(".widget-toggle-button")
    button.click()
    expect(cell).to_contain_text("paused · follows")
    state.put("live", {"n": 4})
    button.click()
    expect(cell).to_contain_text("output 3")
    # Deleted, it ends when the next cell runs.
    notebook.page.evaluate(
        "window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1"
    )
    notebook.page.evaluate("window.jupyterapp.commands.execute('notebook:delete-cell')")
    notebook.run_cell(1)
    expect(notebook.page.locator(".jp-CodeCell").nth(1)).to_contain_text(
        "No cell is live"
    )
    assert notebook.errors == []
