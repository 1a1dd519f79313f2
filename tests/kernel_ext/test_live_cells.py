"""`%%live` in a real kernel, and in a shell that has no page."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from tests.kernel_ext.test_magics import TASKS

from convexlab_kernel.live_cells import LiveCells, LivePage, _options, run_once
from convexlab_kernel.notebook import Notebook

LIVE = """%%live --every 10ms
runs.append(len(db.query("tasks:list")))
print("n =", runs[-1])
db.sql("select max(n) as most from tasks").df()
db.table("tasks").count()
"""
WAIT = """import asyncio
async def until(holds):
    for _ in range(3000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(runs)
"""


def test_a_cell_runs_again_when_what_it_reads_changes(run):
    ran = run(
        f"%%convex tasks\n{TASKS}",
        f"import convexlab\ndb = convexlab.connect()\ndb.tasks.create(text='a')\nruns = []\n{WAIT}",
        LIVE,
        "db.tasks.create(text='b')\nawait until(lambda: runs[-1] == 2)",
        "%live",
        "%live pause 4",
        "db.tasks.create(text='c')\nruns.clear()",
        "%live resume\nawait until(lambda: runs == [3])",
        "%live stop 9",
        "%live stop",
        "%live",
    )
    assert ran.text(5) == ""
    said = " ".join(ran.text(4).split())
    assert "n = 3" in said
    assert said.endswith("3")
    assert ran.text(6).startswith(
        "In[4]: live · follows tasks:list, SQL (select max(n)"
    )
    assert "table tasks · ran 2 times, last " in ran.text(6)
    assert ran.text(7).startswith("In[4]: paused")
    assert ran.error(9) is None
    assert "In[9] is not live; live are: In[4]." in ran.error(10)[1]
    assert ran.text(11).startswith("In[4]: ended")
    assert ran.text(12) == "No cell is live: %%live makes one so."


def test_its_errors_are_the_cells_own_and_it_only_reads(run):
    ran = run(
        f"%%convex tasks\n{TASKS}",
        "import convexlab\ndb = convexlab.connect()",
        "%%live\ndb.query('tasks:list')\nx = 1 / 0",
        "%%live\ndb.mutation('tasks:create', text='a')",
        "%%live\ndb.tasks.create(text='a')",
        "%%live\ndb.table('tasks').insert({'a': 1})",
        "%%live --evry 1s\nx",
        "%%live\nawait something",
        "%live",
    )
    name, text = ran.error(4)
    assert name == "ZeroDivisionError"
    assert "Cell In[4], line 3" in text
    assert "convexlab_kernel" not in text
    for number, what in (
        (5, "a mutation"),
        (6, "`tasks:create`, a mutation"),
        (7, "a write"),
    ):
        name, text = ran.error(number)
        assert name == "NotAllowed"
        assert f"A %%live cell only reads, and this is {what}" in text
    assert "Is --every meant?" in ran.error(8)[1]
    assert "has no `await` of its own" in ran.error(9)[1]
    assert ran.text(10).startswith("No cell is live")


@pytest.fixture
def shell(monkeypatch):
    """A shell that IPython finds as the one that runs."""
    shell = InteractiveShell()
    monkeypatch.setattr(InteractiveShell, "_instance", shell, raising=False)
    return shell


def test_without_a_page_it_runs_once(shell, capsys):
    live = LiveCells(Notebook(shell))
    live.run("", "print('ran')\n1 + 1")
    assert "ran" in capsys.readouterr().out
    assert "No cell is live" in repr(live.command(""))


def test_a_run_keeps_what_it_shows_and_how_it_fails(shell):
    outcome = run_once(shell, "print('a')\nimport sys\nprint('e', file=sys.stderr)\n2")
    assert [one.data["text/plain"] for one in outcome.outputs] == ["a", "2", "e"]
    outcome = run_once(shell, "1 / 0")
    assert isinstance(outcome.error, ZeroDivisionError)
    assert "ZeroDivisionError" in "".join(outcome.traceback)
    assert isinstance(run_once(shell, "def f(:").error, SyntaxError)
    assert "_showtraceback" not in vars(shell)


class Published:
    """What a kernel's display publisher was given."""

    def __init__(self):
        self.sent, self.cleared = [], 0

    def publish(self, data, metadata=None, *, transient=None, update=False):
        self.sent.append((data.get("text/plain"), update, transient["display_id"]))

    def clear_output(self, wait):
        assert wait
        self.cleared += 1


class Kernel:
    parent_header = None

    def __init__(self):
        self.display_pub = Published()


def test_outputs_are_replaced_where_they_stand(shell):
    page = LivePage(kernel := Kernel())
    published = kernel.display_pub
    page.shown(None, run_once(shell, "print('a')\n1"), live=False)
    first = [slot for _, _, slot in published.sent]
    page.show(run_once(shell, "2"))
    assert published.sent[2:] == [("2", True, first[0]), ("", True, first[1])]
    page.show(run_once(shell, "print('a')\nprint('b')\n3"))
    assert [text for text, _, _ in published.sent[4:]] == ["a\nb", "3"]
    page.show(run_once(shell, "print('a')\ndisplay(1)\n1 / 0"))
    assert published.cleared == 1
    assert [update for _, update, _ in published.sent[6:]] == [False] * 3


@pytest.mark.parametrize(
    ("line", "every"),
    [("--every 1s", 1.0), ("--every=500ms", 0.5), ("--every 2m", 120.0)],
)
def test_how_often_is_a_time(line, every):
    assert _options(line) == (every, False)
    assert _options(f"{line} --paused") == (every, True)


def test_a_cell_that_runs_again_or_is_deleted_is_not_live(shell):
    class Cell:
        ended = False

        def close(self):
            self.ended = True

    live = LiveCells(Notebook(shell))
    again, deleted, kept = Cell(), Cell(), Cell()
    live._cells = {"a": (1, again), "d": (2, deleted), "k": (3, kept)}
    shell.parent_header = {"metadata": {"deletedCells": ["d"]}}
    live.before_cell(type("Info", (), {"cell_id": "a"}))
    assert (again.ended, deleted.ended, kept.ended) == (True, True, False)
    live.close()
    assert kept.ended
