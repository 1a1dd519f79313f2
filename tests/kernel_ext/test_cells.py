"""Cells as modules."""

from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments
from convexlab_kernel import cells
from convexlab_kernel.cells import Header, Part

ONE = "@query\ndef one(ctx):\n    return 1\n"
TWO = "@query\ndef two(ctx):\n    return 2\n"


def part(body, *, line="tasks --add", key=None, cell=None, above=0):
    return Part(cells.part_source(line, body, above=above), key, cell)


def test_the_header_names_module_and_options():
    said = cells.parse_header("admin/users --add --dry-run --deployment demo")
    assert said == Header("admin/users", add=True, dry_run=True, deployment="demo")
    assert cells.parse_header("tasks.py").module == "tasks"
    assert cells.parse_header("tasks --deployment=demo").deployment == "demo"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "A module's cell names its module: %%convex tasks."),
        ("a b", "A cell is one module, and this names 2: a, b."),
        ("tasks --ad", "%%convex does not know --ad. Is --add meant?"),
        ("ta-sks", "'ta-sks' cannot name a module"),
        ("tasks --deployment", "--deployment needs a name"),
    ],
)
def test_a_bad_header_is_refused_with_the_way_out(line, text):
    with pytest.raises(InvalidArguments) as refused:
        cells.parse_header(line)
    assert text in str(refused.value)


def test_the_comment_form_becomes_the_magic():
    assert cells.comment_form(["# %%convex tasks\n", ONE]) == ["%%convex tasks\n", ONE]
    assert cells.comment_form(["#%%convex tasks --add\n"]) == ["%%convex tasks --add\n"]
    for other in (
        "# %%convexity\n",
        "x = 1\n",
        "# %% convex tasks\n",
        "# about %%convex x\n",
    ):
        assert cells.comment_form([other]) == [other]
    assert cells.comment_form([]) == []


def test_k1_a_line_of_a_part_is_the_line_of_its_cell():
    raw = f"\n\n# %%convex tasks\n{ONE}"
    source = cells.part_source("tasks", ONE, above=cells.blank_lines_before(raw))
    assert source.split("\n")[: len(raw.split("\n")) - 1] == raw.split("\n")[:-1]


def test_both_spellings_give_one_source():
    for raw in (f"%%convex tasks\n{ONE}", f"# %%convex tasks\n{ONE}"):
        above = cells.blank_lines_before(raw)
        assert (
            cells.part_source("tasks", ONE, above=above) == f"# %%convex tasks\n{ONE}"
        )


def test_k2_a_cell_replaces_what_it_added():
    first, second = part(ONE, key="a"), part(TWO, key="b")
    both = cells.replace_part(cells.replace_part([], first), second)
    assert both == [first, second]
    again = part("@query\ndef uno(ctx):\n    return 1\n", key="a")
    assert cells.replace_part(both, again) == [again, second]


def test_k2_without_ids_the_names_tell():
    first, second = part(ONE), part(TWO)
    again = part(ONE.replace("1", "11"))
    assert cells.replace_part([first, second], again) == [again, second]
    assert cells.replace_part([first], second) == [first, second]
    assert cells.replace_part([first], first) == [first]


def test_a_future_import_of_a_later_part_goes_first_and_no_line_moves():
    first, second = part(ONE), part("from __future__ import annotations\n" + TWO)
    source = cells.module_source([first, second])
    compile(source, "convex/tasks.py", "exec")
    assert len(source.split("\n")) == len((first.source + second.source).split("\n"))
    found = cells.part_at(
        [first, second], source.split("\n").index("def two(ctx):") + 1
    )
    assert found == (second, second.lines.index("def two(ctx):") + 1)


def test_a_module_comes_apart_into_its_parts_again():
    parts = [part(ONE, key="a"), part(TWO, key="b", above=1)]
    source = cells.module_source(parts)
    apart = cells.split_parts(source, ["a", "b"])
    assert [p.key for p in apart] == ["a", "b"]
    assert "".join(p.names().pop() for p in apart) == "onetwo"
    assert cells.split_parts("x = 1\n", ["a", "b"]) == [Part("x = 1\n")]


def test_a_part_with_a_syntax_error_has_no_names():
    assert part("def f(:\n").names() == set()
