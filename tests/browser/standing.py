"""What updates must leave where it is: the place of what one reads, the selection, what
one types, and the columns' widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.browser.pages import Live

# What has moved on the page though nobody moved it, from now on, and how far one sees
# it: `window.shifts`. Buttons of JupyterLab's own toolbars come when they are ready.
WATCH_SHIFTS = """() => {
    window.shifts = [];
    const own = ({ node }) => (node?.closest ? node : node?.parentElement)?.closest('.jp-Toolbar');
    const ours = ({ sources }) => sources.length === 0 || !sources.every(own);
    const what = ({ node }) => node?.outerHTML?.slice(0, 80) ?? node?.textContent;
    const told = list => window.shifts.push(...list.getEntries().filter(ours)
        .map(({ value, sources }) => [value, ...sources.map(what)]));
    new PerformanceObserver(told).observe({ type: "layout-shift" });
}"""
# Where things stand, as one sees them: pixels from the scroller's upper edge.
STANDING = """(root, key) => {
    const scroller = root.querySelector('.scroller');
    const edge = scroller.getBoundingClientRect();
    const row = root.querySelector(`.row[data-key="${key}"]`);
    const active = root.querySelector('.cell[data-active]');
    const editor = root.querySelector('.editor:not([hidden])')?.firstChild;
    return {
        row: row.getBoundingClientRect().top - edge.top,
        left: scroller.scrollLeft,
        selected: [active?.parentElement.dataset.key, active?.dataset.column],
        widths: [...root.querySelectorAll('.heading')].map(each => each.offsetWidth),
        editor: editor && editor.getBoundingClientRect().top - edge.top,
        focused: root.activeElement === editor,
    };
}"""


def settle_in(live: Live, column: str, editor: str, place: int) -> str:
    """Scroll to a row, widen its column and open the editor of its cell; the row's key.

    Args:
        live: the table.
        column: whose cell is edited.
        editor: the label of its editor.
        place: which row, from above.
    """
    live.evaluate(
        "(root, place) => { root.querySelector('.scroller').scrollTop = (place - 4) * 28; }",
        place,
    )
    row = live.element.locator(f".row[aria-rowindex='{place + 2}']:not(.away)")
    cell = row.locator("> *").nth(live.columns.index(column))
    cell.click()
    keys = live.element.page.keyboard
    keys.press("Alt+ArrowRight")
    keys.press("Enter")
    live.element.get_by_label(editor).fill("")
    return row.get_attribute("data-key") or ""


def standing(live: Live, key: str) -> dict[str, Any]:
    """Where everything stands now."""
    found: dict[str, Any] = live.evaluate(STANDING, key)
    return found
