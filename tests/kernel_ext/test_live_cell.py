"""A live cell, its turns given one by one."""

from __future__ import annotations

import pytest

from convexlab.errors import NotAllowed
from convexlab_kernel import reads
from convexlab_kernel.live_cell import LiveCell, Outcome


class Query:
    """A deployment with queries that tell of changes when they are told to."""

    def __init__(self):
        self.followed = {}

    def follow(self, path, arguments):
        return self.followed.setdefault(path, Following(self, path))


class Following:
    def __init__(self, source, path):
        self.source, self.path, self.watcher = source, path, None

    def first(self, timeout):
        assert timeout > 0

    def watch(self, watcher):
        self.watcher = watcher

    def close(self):
        del self.source.followed[self.path]


class Turns:
    """The kernel's thread: what waits runs when the test says so."""

    def __init__(self):
        self.timers = []

    def soon(self, call):
        call()

    def later(self, seconds, call):
        timer = (seconds, call)
        self.timers.append(timer)
        return lambda: self.timers.remove(timer)

    def go_on(self):
        ((_, call),) = self.timers
        self.timers.clear()
        call()


class Page:
    def __init__(self):
        self.shown, self.told = [], []

    def show(self, outcome):
        self.shown.append(outcome)

    def tell(self, status, *, paused):
        self.told.append((status, paused))


class Notebook:
    """A live cell that reads some queries, and what is around it."""

    def __init__(self, **options):
        self.source, self.turns, self.page = Query(), Turns(), Page()
        self.wanted, self.error, self.during = ["a"], None, lambda: None
        options = {"every": 5.0, **options}
        self.cell = LiveCell(self.run, turns=self.turns, page=self.page, **options)

    def run(self):
        for path in self.wanted:
            reads.reading(self.source, path, b"{}", path)
        self.during()
        return Outcome([], self.error)

    def change(self, path):
        self.source.followed[path].watcher()


def test_a_change_of_what_was_read_runs_it_again_and_shows_it():
    notebook = Notebook()
    notebook.cell.start()
    assert list(notebook.source.followed) == ["a"]
    assert notebook.turns.timers == []
    notebook.change("a")
    assert notebook.cell.runs == 1
    notebook.turns.go_on()
    assert notebook.cell.runs == 2
    assert len(notebook.page.shown) == 1
    assert notebook.cell.status.startswith("live · follows a · ran 2 times, last ")


def test_changes_while_it_rests_or_runs_make_one_more_run():  # V1
    notebook = Notebook()
    notebook.cell.start()
    for _ in range(3):
        notebook.change("a")
    (timer,) = notebook.turns.timers
    assert 4.0 < timer[0] <= 5.0
    notebook.during = lambda: notebook.change("a")
    notebook.turns.go_on()
    assert notebook.cell.runs == 2
    assert len(notebook.turns.timers) == 1
    notebook.during = lambda: None
    notebook.turns.go_on()
    assert notebook.cell.runs == 3
    assert notebook.turns.timers == []


def test_what_it_no_longer_reads_is_followed_no_longer():  # R2
    notebook = Notebook()
    notebook.wanted = ["a", "b"]
    notebook.cell.start()
    notebook.wanted = ["b", "c"]
    notebook.change("a")
    notebook.turns.go_on()
    assert sorted(notebook.source.followed) == ["b", "c"]


def test_a_run_that_fails_is_shown_and_the_next_change_tries_again():
    notebook = Notebook()
    notebook.cell.start()
    notebook.error = ValueError("x")
    notebook.change("a")
    notebook.turns.go_on()
    assert notebook.page.shown[0].error is notebook.error
    assert not notebook.cell.ended
    notebook.change("a")
    notebook.turns.go_on()
    assert notebook.cell.runs == 3


def test_a_first_run_that_fails_is_not_live():
    notebook = Notebook()
    notebook.error = ValueError("x")
    assert notebook.cell.start().error is notebook.error
    assert notebook.cell.ended
    assert notebook.source.followed == {}


def test_paused_it_waits_and_then_runs_if_something_changed():
    notebook = Notebook(paused=True)
    notebook.cell.start()
    notebook.change("a")
    assert notebook.turns.timers == []
    notebook.cell.resume()
    notebook.turns.go_on()
    assert notebook.cell.runs == 2
    notebook.change("a")
    notebook.cell.pause()
    assert notebook.turns.timers == []
    assert notebook.page.told[-1][1] is True
    notebook.cell.resume()
    assert len(notebook.turns.timers) == 1


def test_the_button_is_heard_on_the_kernels_thread():
    notebook = Notebook()
    notebook.cell.start()
    posted = []
    notebook.turns.soon = posted.append
    notebook.cell.press(paused=False)
    notebook.cell.press(paused=True)
    assert not notebook.cell.paused
    posted.pop()()
    assert notebook.cell.paused
    assert posted == []


def test_who_interrupts_a_run_pauses_it():
    notebook = Notebook()
    notebook.cell.start()
    notebook.error = KeyboardInterrupt()
    notebook.change("a")
    notebook.change("a")
    notebook.turns.go_on()
    assert notebook.cell.paused


def test_ended_it_follows_nothing():
    notebook = Notebook()
    notebook.cell.start()
    notebook.change("a")
    notebook.cell.close()
    assert notebook.turns.timers == []
    assert notebook.source.followed == {}
    assert notebook.page.told[-1][0].startswith("ended · ")


def test_it_only_reads():
    notebook = Notebook()
    notebook.during = lambda: reads.writing("a mutation")
    with pytest.raises(NotAllowed, match=r"only reads, and this is a mutation"):
        notebook.cell.start()
    reads.writing("a mutation")  # elsewhere nothing is refused
