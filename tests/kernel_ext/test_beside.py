"""What other cells have added to a module stays, as long as these cells are there."""

from __future__ import annotations

import os

from tests.kernel_ext.notebooks import notebook

from convexlab_kernel.beside import with_added
from convexlab_kernel.cells import Part
from convexlab_kernel.status import ModuleStatus

PUSHED = ModuleStatus("tasks", pushed_ms=1_000_000.0)


def part(header, name, key=None):
    return Part(f"# %%convex {header}\ndef {name}(ctx): ...\n", key)


FIRST = part("tasks", "one", "c1")
ADDED = part("tasks --add", "two", "c2")


def test_what_says_that_it_adds_stays_behind_the_cell():
    now = part("tasks", "changed", "c1")
    other = part("other --add", "three", "c3")
    plain = part("tasks", "four", "c4")
    known = [FIRST, ADDED, other, plain, Part("def none(ctx): ...\n", "c5")]
    assert with_added(now, known, PUSHED, None) == [now, ADDED]
    assert with_added(now, [], PUSHED, None) == [now]


def test_where_cells_have_no_ids_what_is_defined_here_now_goes():
    now, added = part("tasks", "two"), part("tasks --add", "two")
    assert with_added(now, [part("tasks", "one"), added], PUSHED, None) == [now]


def test_a_cell_is_gone_when_the_notebook_was_saved_without_it(tmp_path):
    """One that was not saved since the push may hold it by now."""
    file = notebook(tmp_path / "work.ipynb", "only one")
    unknown = part("tasks --add", "three")
    known = [FIRST, ADDED, unknown]
    for saved, others in ((500, [ADDED, unknown]), (2_000, [unknown])):
        os.utime(file, (saved, saved))
        assert with_added(FIRST, known, PUSHED, file) == [FIRST, *others]
    file.write_text("no notebook")
    assert with_added(FIRST, known, PUSHED, file) == [FIRST, ADDED, unknown]
    assert with_added(FIRST, known, PUSHED, tmp_path / "none") == [
        FIRST,
        ADDED,
        unknown,
    ]
