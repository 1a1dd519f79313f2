"""Live outputs on the page: what they show, and that nothing moves them but the user.

One question a test, asked of JupyterLab in Chromium with a deployment of its own.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect
from tests.browser.pages import MIME, live_output, output_of
from tests.browser.standing import WATCH_SHIFTS
from tests.deployments import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from tests.browser.jupyter import Jupyter
    from tests.browser.pages import Notebook
    from tests.browser.state import State

    Open = Callable[..., Notebook]

TABLE = {"kind": "table"}
TEXT = {"type": "string"}
EDIT = {
    "path": "state:put",
    "id": "name",
    "fields": {"carrier": {"fieldType": TEXT, "optional": True}},
}


def document(n: int, **fields: Any) -> dict[str, Any]:
    return {
        "_id": f"{n:032d}",
        "_creationTime": 1_795_335_531_697.0 + n,
        "n": float(n),
        "carrier": ["UA", "AA", "B6"][n % 3],
        **fields,
    }


def test_a_trusted_output_is_live_with_nothing_run(
    open_notebook: Open, state: State
) -> None:
    """A saved output follows its query as soon as the page is there."""
    state.put("flights", [document(1, year=2013.0), document(2, year=2013.5)])
    notebook = open_notebook("saved.ipynb", [live_output("flights", TABLE)])
    live = notebook.live().wait_for()
    assert live.status == "live"
    assert live.columns == ["_id", "n", "carrier", "year", "_creationTime"]
    assert [row[1:4] for row in live.rows] == [
        ["1", "AA", "2013"],
        ["2", "B6", "2013.5"],
    ]
    assert live.summary == "showing 2 of 2 rows · 5 columns"
    assert notebook.errors == []


def test_an_untrusted_notebook_shows_the_static_table(
    show_notebook: Open, state: State
) -> None:
    """What somebody else wrote opens no socket until the user trusts it."""
    state.put("flights", [document(1)])
    notebook = show_notebook(
        "foreign.ipynb", [live_output("flights", TABLE)], trusted=False
    )
    notebook.page.wait_for_selector(".jp-OutputArea-output table")
    assert notebook.outputs() == ["static"]
    assert notebook.page.locator(".convexlab-live").count() == 0


def test_a_change_is_drawn_in_place_and_glows(
    show_notebook: Open, state: State
) -> None:
    """Only the cells that changed are touched; new rows glow as a whole."""
    rows = [document(n) for n in range(5)]
    state.put("changing", rows)
    notebook = show_notebook("change.ipynb", [live_output("changing", TABLE)])
    live = notebook.live().wait_for()
    # A glow lasts a moment; what looks for it may come later than that.
    clock = notebook.page.context.new_cdp_session(notebook.page)
    clock.send("Animation.enable")
    clock.send("Animation.setPlaybackRate", {"playbackRate": 0})
    live.evaluate("root => { root.querySelector('[data-key]').dataset.mine = 'yes'; }")
    rows[2]["carrier"] = "ZZ"
    state.put("changing", rows)
    live.wait_for_text("ZZ")
    glowing = live.evaluate(
        """root => [...root.querySelectorAll('.cell')]
            .filter(cell => cell.getAnimations().length).map(cell => cell.textContent)"""
    )
    assert glowing == ["ZZ"]
    assert live.evaluate("root => root.querySelectorAll('[data-mine]').length") == 1
    state.put("changing", [*rows, document(9, carrier="NEW")])
    live.wait_for_text("NEW")
    glowing = live.evaluate(
        """root => [...root.querySelectorAll('.row')].at(-1).firstChild.getAnimations().length"""
    )
    assert glowing == 1
    clock.detach()


def test_missing_and_null_look_different(show_notebook: Open, state: State) -> None:
    """A field that is not there is not null, and the head says which rows lack it."""
    state.put("gaps", [document(1, note=None), document(2), document(3, note="x")])
    live = show_notebook("gaps.ipynb", [live_output("gaps", TABLE)]).live().wait_for()
    kinds = live.evaluate(
        """root => [...root.querySelectorAll('.row')].map(row => row.children[3].className)"""
    )
    assert kinds == ["cell null", "cell missing", "cell string"]
    types = live.element.locator(".heading .type").all_inner_texts()
    assert types[3] == "(string | null)?"


def test_a_long_result_costs_sixty_rows(show_notebook: Open, state: State) -> None:
    """However long the table and wherever one scrolls, few row elements exist."""
    state.put("long", [document(n) for n in range(8192)])
    notebook = show_notebook("long.ipynb", [live_output("long", TABLE)])
    live = notebook.live().wait_for()
    assert live.summary.startswith("showing 8,192 of 8,192 rows")
    most = live.evaluate(
        """async root => {
            const scroller = root.querySelector('.scroller');
            let most = 0;
            for (let top = 0; top <= 8192 * 28; top += 5003) {
                scroller.scrollTop = top;
                await new Promise(requestAnimationFrame);
                await new Promise(requestAnimationFrame);
                most = Math.max(most, root.querySelectorAll('.row').length);
            }
            scroller.scrollTop = 8192 * 28;
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            return most;
        }"""
    )
    assert 10 < most <= 60
    assert live.rows[-1][1] == "8191"


def test_updates_move_nothing_but_the_user_does(
    show_notebook: Open, state: State
) -> None:
    """Rows that come in above leave in place what one reads, selects, widens and types."""
    rows = [document(n) for n in range(500)]
    state.put("moving", rows)
    table = {**TABLE, "edit": EDIT}
    notebook = show_notebook("moving.ipynb", [live_output("moving", table)])
    live = notebook.live().wait_for()
    live.evaluate("root => { root.querySelector('.scroller').scrollTop = 100 * 28; }")
    live.wait_for_text("104")
    live.element.get_by_text("104", exact=True).click()
    offset = """root => {
        const cell = root.querySelector('.cell[data-active]');
        const scroller = root.querySelector('.scroller');
        return [cell.textContent, cell.getBoundingClientRect().top - scroller.getBoundingClientRect().top];
    }"""
    keys = notebook.page.keyboard
    keys.press("ArrowRight")
    keys.press("Alt+ArrowRight")
    keys.press("ArrowLeft")
    widths = """root => [...root.querySelectorAll('.heading')].map(cell => cell.offsetWidth)"""
    before = live.evaluate(offset), live.evaluate(widths)
    assert before[0][0] == "104"

    def insert(count: int) -> None:
        for n in range(count):
            rows.insert(0, document(1000 + len(rows)))
            rows[50 + n] = {**rows[50 + n], "carrier": f"#{n}"}
            state.put("moving", rows)

    notebook.page.evaluate(WATCH_SHIFTS)
    insert(10)
    live.element.get_by_text("showing 510 of 510 rows").wait_for()
    assert (live.evaluate(offset), live.evaluate(widths)) == before
    assert notebook.page.evaluate("window.shifts") == []
    keys.press("ArrowRight")
    keys.press("Enter")
    editor = live.element.get_by_label("new carrier")
    typed = "typed while rows come in, ten and ten more"
    inserting = threading.Thread(target=insert, args=(20,))
    inserting.start()
    keys.type(typed, delay=20)
    inserting.join()
    live.element.get_by_text("showing 530 of 530 rows").wait_for()
    assert editor.input_value().endswith(typed)
    over = """root => root.querySelector('.editor').getBoundingClientRect().top
        - root.querySelector('.cell[data-active]').getBoundingClientRect().top"""
    assert abs(live.evaluate(over)) < 2
    keys.press("Escape")
    keys.press("ArrowLeft")
    assert (live.evaluate(offset), live.evaluate(widths)) == before


def test_the_keyboard_moves_in_the_table_not_in_the_notebook(
    show_notebook: Open, state: State
) -> None:
    """Arrows, Enter and Escape are the table's while it has the focus; copying too."""
    state.put("keys", [document(n, info={"gate": f"B{n}"}) for n in range(40)])
    notebook = show_notebook("keys.ipynb", [live_output("keys", TABLE), "1"])
    live = notebook.live().wait_for()
    page = notebook.page
    live.element.locator(".cell", has_text="AA").first.click()
    selected = "window.jupyterapp.shell.currentWidget.content.activeCellIndex"
    before = page.evaluate(selected)
    active = "root => root.querySelector('.cell[data-active]')?.textContent"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert live.evaluate(active) == '{gate: "B2"}'
    page.keyboard.press("Enter")
    live.element.locator(".detail .twig").get_by_text("gate").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+End")
    assert page.evaluate(selected) == before
    assert live.rows[-1][1] == "39"
    scroller = live.element.locator(".scroller")
    described = scroller.get_attribute("aria-activedescendant")
    assert described is None or live.element.locator(f"#{described}").count() == 1


def test_a_click_on_a_head_sorts_what_is_shown(
    show_notebook: Open, state: State
) -> None:
    """Ascending, descending, the query's own order; updates keep the order."""
    state.put("sorting", [document(n) for n in (2, 3, 1)])
    live = (
        show_notebook("sort.ipynb", [live_output("sorting", TABLE)]).live().wait_for()
    )

    def numbers() -> list[str]:
        return [row[1] for row in live.rows]

    head = live.element.get_by_role("columnheader").nth(1)
    head.click()
    assert numbers() == ["1", "2", "3"]
    assert head.get_attribute("aria-sort") == "ascending"
    state.put("sorting", [document(n) for n in (2, 3, 1, 0)])
    live.element.get_by_text("showing 4 of 4 rows").wait_for()
    assert numbers() == ["0", "1", "2", "3"]
    head.click()
    assert numbers() == ["3", "2", "1", "0"]
    head.click()
    assert numbers() == ["2", "3", "1", "0"]


def test_a_failed_query_says_so_above_its_last_rows(
    show_notebook: Open, state: State
) -> None:
    """The error and its data are shown, the rows stay, and the next value heals it."""
    state.put("failing", [document(1)])
    live = (
        show_notebook("fail.ipynb", [live_output("failing", TABLE)]).live().wait_for()
    )
    state.fail("failing", "by zero")
    failure = live.wait_for("error").failure
    assert "ValueError: by zero" in failure
    assert "Request ID" not in failure
    assert len(live.rows) == 1
    state.put("failing", [document(1), document(2)])
    live.wait_for("value")
    assert not live.element.locator(".failure").is_visible()
    assert len(live.rows) == 2


def test_a_convex_error_shows_its_data(show_notebook: Open, state: State) -> None:
    """What the function raised for its callers is there to be opened."""
    state.refuse("refused", {"code": "not_found", "id": 7})
    live = show_notebook("refused.ipynb", [live_output("refused")]).live()
    live.wait_for("error").wait_for_text('"not_found"')
    assert live.element.locator(".problem .leaf.number").inner_text() == "7"


def test_all_outputs_of_a_page_share_one_socket(
    open_notebook: Open, state: State, page: Page
) -> None:
    """Views of a page are one client, whatever they show."""
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    state.put("number", 336_776.0)
    state.put("one", document(1, tags=["a"], nothing=None))
    state.put("deep", {"list": [1.0, {"x": None}]})
    notebook = open_notebook(
        "views.ipynb",
        [
            live_output("number", {"kind": "metric", "label": "flights"}),
            live_output("one", {"kind": "card"}),
            live_output("deep"),
            live_output("one"),
        ],
    )
    lives = [notebook.live(n).wait_for() for n in range(4)]
    assert [live.view for live in lives] == ["metric", "card", "tree", "card"]
    assert lives[0].element.locator(".figure").inner_text() == "336,776"
    assert lives[0].element.locator(".label").inner_text() == "flights"
    assert lives[2].element.locator(".leaf.number").inner_text() == "1"
    assert len([url for url in sockets if "/user/ann/convex/" in url]) == 1
    state.put("number", 336_780.0)
    lives[0].wait_for_text("▲ 4")


def test_the_theme_is_followed_without_a_redraw(
    show_notebook: Open, state: State
) -> None:
    """Colours are the page's variables: a switch changes them, nothing is drawn anew."""
    state.put("flights", [document(n) for n in range(30)])
    notebook = show_notebook("theme.ipynb", [live_output("flights", TABLE)])
    live = notebook.live().wait_for()
    ground = (
        """root => getComputedStyle(root.querySelector('.frame')).backgroundColor"""
    )
    light = live.evaluate(ground)
    updates = live.updates
    notebook.screenshot("live-light")
    notebook.set_theme("dark")
    assert live.evaluate(ground) != light
    assert live.updates == updates
    notebook.screenshot("live-dark")


def test_a_busy_kernel_holds_nothing_up(show_notebook: Open, state: State) -> None:
    """While a cell runs, updates arrive; one sorts, searches, scrolls, edits and presses."""
    rows = [document(n, text="null") for n in range(102)]
    put = {"path": "state:put", "id": "name", "fields": {"text": {"fieldType": TEXT}}}
    one_more = {"name": "busy", "text": json.dumps({"value": rows})}
    button = {"kind": "button", "path": "state:put", "args": one_more}
    shown = [
        live_output("busy", {**TABLE, "edit": put}),
        output_of({"control": button}),
    ]
    show = f"for each in {shown!r}: display(each, raw=True)"
    state.put("busy", rows[:100])
    notebook = show_notebook(
        "busy.ipynb", [show, "input = 0\nimport time\nwhile True: time.sleep(0.1)"]
    )
    notebook.run_all(wait=False)
    live = notebook.live().wait_for()
    busy = notebook.page.locator(".jp-InputPrompt", has_text="[*]")
    busy.first.wait_for()
    state.put("busy", rows[:101])
    live.element.get_by_text("showing 101 of 101 rows").wait_for()
    for _ in range(2):
        live.element.get_by_role("columnheader").nth(1).click()
    assert live.rows[0][1] == "100"
    live.evaluate("root => { root.querySelector('.scroller').scrollTop = 1e9; }")
    last = live.element.locator(".row[aria-rowindex='102']")
    expect(last.locator("> *").nth(1)).to_have_text("0")
    last.locator("> *").nth(live.columns.index("text")).dblclick()
    live.element.get_by_label("new text").fill('{"value": "edited"}')
    notebook.page.keyboard.press("Enter")
    edited = rows[0]["_id"]
    until(lambda: state.run("query", "state:get", name=edited) == "edited", str)
    live.element.get_by_role("searchbox").fill("AA")
    live.element.get_by_text("showing 34 of 101 rows").wait_for()
    notebook.live(1).element.get_by_role("button").click()
    live.element.get_by_text("showing 34 of 102 rows").wait_for()
    assert busy.count() == 1


def test_a_restart_and_a_reload_leave_it_live(
    open_notebook: Open, state: State
) -> None:
    """Run, save, restart the kernel, load the page again: live, with nothing run."""
    state.put("again", [document(1)])
    show = f"from IPython.display import display; display({live_output('again', TABLE)!r}, raw=True)"
    notebook = open_notebook("again.ipynb", [show])
    notebook.run_all()
    notebook.live().wait_for()
    notebook.save()
    notebook.restart_kernel()
    notebook.reload()
    live = notebook.live().wait_for()
    state.put("again", [document(1), document(2)])
    live.element.get_by_text("showing 2 of 2 rows").wait_for()


def test_notebook_seven_shows_the_same(open_notebook: Open, state: State) -> None:
    """The extension is loaded by Notebook 7 as well."""
    state.put("seven", [document(1)])
    notebook = open_notebook(
        "seven.ipynb", [live_output("seven", TABLE)], app="notebook"
    )
    assert notebook.live().wait_for().rows[0][1] == "1"
    assert notebook.errors == []


WIDGET = f"""
import threading
from convexlab_widgets.live import view_of
from IPython.display import display

class Followed:
    def __init__(self):
        self.changed = threading.Condition()
        self.closed, self.count, self.value = False, 1, b'[{{"n": 1.0}}]'
    def newest(self):
        return self.count, self.value, None
    def put(self, value):
        with self.changed:
            self.count, self.value = self.count + 1, value
            self.changed.notify_all()

class Live:
    followed, public, backend = Followed(), False, None
    def description(self):
        return {{"path": "state:get", "args": {{"name": "x"}}, "view": {{"kind": "table"}}}}

live = Live()
data, metadata = view_of(live)
assert {MIME!r} not in data
display(data, metadata=metadata, raw=True)
"""


FAR = f"""
import convexlab
from IPython.display import display

live = convexlab.connect().watch("state:get", name="far")
data, metadata = live._repr_mimebundle_()
del data[{MIME!r}]
display(data, metadata=metadata, raw=True)
"""


def test_the_widget_is_fed_over_the_comm(show_notebook: Open) -> None:
    """Where the page may not follow by itself, the kernel's results reach the same view."""
    notebook = show_notebook(
        "widget.ipynb", [WIDGET, 'live.followed.put(b\'[{"n": 1.0}, {"n": 7.0}]\')']
    )
    notebook.run_cell(0)
    live = notebook.live().wait_for()
    assert live.element.get_attribute("data-source") == "comm"
    assert live.rows == [["1"]]
    notebook.run_cell(1)
    live.element.get_by_text("showing 2 of 2 rows").wait_for()
    assert live.rows == [["1"], ["7"]]


def test_a_front_end_that_is_not_jupyters_is_fed_by_its_kernel(
    open_notebook: Open, state: State
) -> None:
    """As in VS Code and Colab: no renderer of ours, and the page does not say where its
    server is. All that the view asks goes through the kernel, its reasons too."""
    state.put("far", [document(1)])
    notebook = open_notebook("far.ipynb", [FAR])
    notebook.page.evaluate("document.getElementById('jupyter-config-data').remove()")
    notebook.run_cell(0)
    live = notebook.live().wait_for()
    assert live.element.get_attribute("data-source") == "comm"
    assert live.rows[0][1] == "1"
    state.put("far", [document(1), document(2)])
    live.element.get_by_text("showing 2 of 2 rows").wait_for()
    live.element.get_by_role("button", name="why?").click()
    live.element.get_by_text("changed by state:put · 1 document read in").wait_for()


def test_the_widget_takes_the_socket_where_it_may(
    show_notebook: Open, state: State
) -> None:
    """On a page of Jupyter's the widget is a client like the renderer: no value passes the kernel."""
    state.put("x", [document(5)])
    notebook = show_notebook(
        "direct.ipynb",
        [WIDGET.replace("Followed(), False", "Followed(), True")],
    )
    notebook.run_cell(0)
    live = notebook.live().wait_for()
    assert live.element.get_attribute("data-source") == "socket"
    assert live.rows[0][1] == "5"


# -- at the end, what is hard on every page --------------------------------------------


def test_a_lost_connection_keeps_the_rows_and_comes_back(
    open_notebook: Open, state: State, jupyter: Jupyter
) -> None:
    """Without Jupyter it goes on; everything comes back on the same address, and no
    reload is needed."""
    state.put("lasting", [document(1)])
    notebook = open_notebook("lasting.ipynb", [live_output("lasting", TABLE)])
    live = notebook.live().wait_for()
    jupyter.kill()
    state.put("lasting", [document(1), document(2)])
    live.element.get_by_text("showing 2 of 2 rows").wait_for()
    state.kill()
    live.wait_for_link("reconnecting")
    assert [row[1] for row in live.rows] == ["1", "2"]
    assert live.status.startswith("reconnecting")
    jupyter.start()
    live.wait_for_link("live")
    state.put("lasting", [document(n) for n in (1, 2, 3)])
    live.element.get_by_text("showing 3 of 3 rows").wait_for()


def test_a_deployment_that_dies_is_found_again(
    open_notebook: Open, state: State
) -> None:
    """It is started again behind the page, which keeps its rows and goes on.

    What keeps it from starting is said in the view, until it is there again.
    """
    state.put("dying", [document(1)])
    notebook = open_notebook("dying.ipynb", [live_output("dying", TABLE)])
    live = notebook.live().wait_for()
    with state.written_by_tomorrow():
        state.kill()
        live.wait_for_link("reconnecting")
        live.element.get_by_text("The store has format 99").wait_for()
        assert (
            "The deployment does not answer"
            in live.element.locator(".failure").inner_text()
        )
        live.element.screenshot(path=notebook.picture("view-not-started"))
        assert [row[1] for row in live.rows] == ["1"]
    live.wait_for_link("live")
    expect(live.element.locator(".failure")).to_be_hidden()
    state.put("dying", [document(1), document(2)])
    live.element.get_by_text("showing 2 of 2 rows").wait_for()
