"""A long insert says how far it is, and leaves nothing in the notebook."""

from __future__ import annotations

import pytest

from convexlab import knobs
from convexlab_kernel.progress import EMPTY, Line, bar

INSERT = """
import convexlab
from convexlab import knobs
knobs.PROGRESS_AFTER_SECONDS = knobs.PROGRESS_EVERY_SECONDS = 0
knobs.IMPORT_BATCH_LINES = 10
shown = []
def note(message):
    shown.append(message["content"]["data"]["text/plain"])
    return message
get_ipython().display_pub.register_hook(note)
convexlab.connect().table("counted").insert([{"n": n} for n in range(25)])
"""


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shown():
    return []


def test_a_short_insert_shows_nothing(clock, shown):
    line = Line("t", 10, shown.append, clock)
    clock.now += knobs.PROGRESS_AFTER_SECONDS / 2
    line.update(10)
    line.clear()
    assert shown == []


def test_a_long_one_says_how_far_it_is_as_often_as_one_can_read(clock, shown):
    line = Line("a<b", 4_000, shown.append, clock)
    for _ in range(3):
        clock.now += knobs.PROGRESS_AFTER_SECONDS
        line.update(500)
        line.update(500)
    assert [each["text/plain"] for each in shown] == [
        "a<b: 500 of 4,000 documents · 7 s left",
        "a<b: 1,500 of 4,000 documents · 3 s left",
        "a<b: 2,500 of 4,000 documents · 2 s left",
    ]
    drawn = shown[-1]["text/html"]
    assert 'aria-label="a&lt;b: documents written" max="4000" value="2500"' in drawn
    line.clear()
    assert shown[-1] == EMPTY


def test_rows_that_nobody_has_counted_are_counted(clock, shown):
    line = Line("t", None, shown.append, clock)
    clock.now += knobs.PROGRESS_AFTER_SECONDS
    line.update(1)
    assert shown[0]["text/plain"] == "t: 1 document"
    assert "value=" not in shown[0]["text/html"]


def test_without_a_page_it_is_a_bar_of_the_terminal(capsys, monkeypatch):
    monkeypatch.setattr(knobs, "PROGRESS_AFTER_SECONDS", 0)
    with bar("t", 2) as progress:
        progress.update(1)
    assert "t: " in capsys.readouterr().err


def test_a_notebook_keeps_nothing_of_it(run):
    ran = run(INSERT, "print(*shown, sep='|')")
    counted = "|".join(f"counted: {n} of 25 documents" for n in (10, 20, 25))
    assert ran.text(3) == f"{counted}|"
    line, count = ran.cells[1].outputs
    assert line.data == EMPTY
    assert count.data["text/plain"] == "25"
