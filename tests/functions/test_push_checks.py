"""What a push looks for beside functions."""

from __future__ import annotations

import pytest
from tests.functions.lab import HEADER, analysis_of

from convexlab.errors import PushFailed
from convexlab.functions.analysis import analyze
from convexlab.functions.module_sources import ModuleSource


def test_special_modules_hold_one_variable() -> None:
    schema = "schema = define_schema({'t': define_table({'a': v.string()})})"
    analysis = analyze([ModuleSource("schema", HEADER + schema)])
    assert analysis.schema is not None
    assert list(analysis.schema.tables) == ["t"]
    with pytest.raises(PushFailed, match="holds one variable `schema`"):
        analyze([ModuleSource("schema", HEADER + "x = 1")])
    with pytest.raises(PushFailed, match="holds one variable `http`"):
        analyze([ModuleSource("http", "x = 1")])
    with pytest.raises(PushFailed, match="holds one variable `auth_config`"):
        analyze([ModuleSource("auth_config", "x = 1")])


def test_references_to_nothing_are_listed() -> None:
    analysis = analysis_of(
        """
        @mutation
        def f(ctx):
            ctx.run_mutation(api.m.f)
            ctx.run_mutation(internal.logs.clear_old)
            ctx.run_mutation(api.other.list_)
        """,
        other="@query\ndef list_(ctx): ...",
    )
    assert [str(missing) for missing in analysis.missing] == [
        "m.py:7: `internal.logs.clear_old` names no function yet: there is no `logs:clear_old`."
    ]


@pytest.mark.parametrize("path", ["a-b", "a b", "", "a//b", "a.b", "ä"])
def test_a_path_that_cannot_be_is_refused(path) -> None:
    with pytest.raises(PushFailed, match="cannot be a module's path"):
        analyze([ModuleSource(path, "")])
