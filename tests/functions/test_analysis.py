"""What a push asks of modules."""

from __future__ import annotations

import pytest
from tests.functions.lab import HEADER, analysis_of, lab_of

from convexlab.errors import PushFailed
from convexlab.functions.analysis import analyze
from convexlab.functions.module_sources import ModuleSource


def test_other_decorators_go_below_ours() -> None:
    with pytest.raises(PushFailed, match="swap `@cache` and `@query`") as caught:
        analysis_of("from functools import cache\n@cache\n@query\ndef f(ctx): ...")
    assert caught.value.line == 4
    lab = lab_of(
        """
        import functools
        def louder(f):
            @functools.wraps(f)
            def g(ctx, **kw): return f(ctx, **kw) + "!"
            return g
        @query
        @louder
        def f(ctx, a: str): return a
        """
    )
    assert lab.query("m:f", a="x") == "x!"


def test_a_schema_error_names_the_line() -> None:
    with pytest.raises(PushFailed) as caught:
        analyze(
            [
                ModuleSource(
                    "schema",
                    HEADER
                    + "schema = define_schema({\n  't': define_table({'_a': 3})})",
                )
            ]
        )
    assert (caught.value.path, caught.value.line) == ("schema", 4)


def test_what_a_top_level_prints_is_reported() -> None:
    assert analysis_of("print('hello', 1)").log_lines == ["[LOG] 'hello' 1"]
