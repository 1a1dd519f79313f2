"""Hints: the sentence after Python's own, for what newcomers write first."""

from __future__ import annotations

import pytest
from tests.functions.test_tracebacks import raised

from convexlab.documents.v import v
from convexlab.errors import PushFailed
from convexlab.functions.hints import hint_for, meant
from convexlab.functions.module_sources import ModuleSource
from convexlab.functions.modules import ModuleSet


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("query", "`from convexlab import query`"),
        ("np.zeros(3)", "`import numpy as np`"),
        ("json.dumps(1)", "`import json`"),
        ("db.query('tasks')", "the database is `ctx.db`"),
        ("limit", "Pass the value as an argument (`def f(ctx, limit)`)"),
        ("from convexlab import queryy", "Is `query` meant?"),
        ("v.stringg()", "Is `string` meant?"),
        ("{'text': 1}.text", '`["text"]`'),
        ("import convexlab; convexlab.mutatoin", ""),
        ("def f():\n    print(x)\n    x = 1\nf()", ""),
        ("from json import nope", ""),
        ("[].nope", ""),
        ("1 / 0", ""),
    ],
)
def test_a_hint_says_what_to_write(text: str, hint: str) -> None:
    found = hint_for(raised(text, v=v))
    assert hint in found
    assert bool(found) == bool(hint)


def test_a_name_is_meant_if_it_is_near() -> None:
    assert meant("tasks:creat", ["tasks:create"]) == ". Is `tasks:create` meant?"
    assert meant("zebra", ["tasks:create"]) == ""


def refusal(path: str, **sources: str) -> PushFailed:
    texts = (ModuleSource(each, text) for each, text in sources.items())
    with pytest.raises(PushFailed) as refused:
        ModuleSet(texts).load(path)
    return refused.value


def test_modules_that_import_each_other_are_named() -> None:
    """A push says which, and that calling a function needs no import."""
    error = refusal("a", a="from .b import g\nf = 1", b="from .a import f\ng = 1")
    assert (error.path, error.line) == ("b", 1)
    assert str(error).startswith("`b` and `a` import each other, so `f` is not there")
    assert "`api.a.f`" in str(error)


def test_what_a_neighbour_does_not_have_is_named() -> None:
    error = refusal("a", a="from .b import creat", b="create = 1")
    assert str(error) == ("there is no `creat` in the module `b`. Is `create` meant?")


@pytest.mark.parametrize("text", ["from convex.b import g", "import convex.b"])
def test_the_folder_is_not_a_package(text: str) -> None:
    assert "`from .tasks import …`" in str(refusal("a", a=text, b="g = 1"))


def test_a_function_hides_a_name_of_pythons() -> None:
    """`list[str]` below a query `list`, and a call of it, say what to do."""
    begin = "from convexlab import query\n@query\ndef list(ctx): return 1\n"
    for use in ("def f(x: list[str]): return x", "x = list()"):
        said = str(refusal("a", a=begin + use))
        assert "call it `list_`" in said
        assert "`list` is a query" in said
