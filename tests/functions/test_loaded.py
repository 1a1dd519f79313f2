"""What a module that has run holds."""

from __future__ import annotations

import pytest
from tests.functions.lab import analysis_of, lab_of

from convexlab.errors import PushFailed


def names_of(analysis) -> list[str]:
    return [spec.path for spec in analysis.functions]


def test_functions_are_found_under_their_variables_names() -> None:
    analysis = analysis_of(
        """
        @query
        def list_(ctx): ...
        @mutation
        def create(ctx): ...
        @internal_query
        def secret(ctx): ...
        @query
        def _private(ctx): ...
        @query(name="getByChannel")
        def get_by_channel(ctx): ...
        def helper(ctx): ...
        @query
        def default(ctx): ...
        """
    )
    assert names_of(analysis) == [
        "m:list",
        "m:create",
        "m:secret",
        "m:getByChannel",
        "m:default",
    ]
    assert [spec.visibility for spec in analysis.functions][2] == "internal"


def test_an_exact_name_wins_over_an_alias() -> None:
    modules = lab_of(
        """
        @query
        def get_it(ctx): return 1
        @query
        def getIt(ctx): return 2
        """
    ).modules
    assert modules.function("m:getIt").handler(None) == 2
    assert modules.function("m:get_it").handler(None) == 1


def test_an_import_does_not_export_again() -> None:
    analysis = analysis_of(
        "from .shared import f, make\nmade = make(2)",
        shared="""
        @query
        def f(ctx): ...
        def make(n):
            @query
            def inner(ctx): return n
            return inner
        own = make(1)
        """,
    )
    assert names_of(analysis) == ["m:made", "shared:f", "shared:own"]
    assert analysis.modules.function("m:made").handler(None) == 2


def test_two_functions_of_one_name_are_refused() -> None:
    with pytest.raises(PushFailed, match="two functions are called `list`") as caught:
        analysis_of("@query\ndef list(ctx): ...\n@query\ndef list_(ctx): ...")
    assert caught.value.line == 5


def test_changes_to_globals_are_not_kept() -> None:
    lab = lab_of(
        """
        from .state import SEEN
        count = 0
        cache = {"a": [1]}
        @mutation
        def f(ctx):
            global count, fresh
            count += 1
            fresh = 1
            cache["a"].append(2)
            cache["b"] = 1
            SEEN.add(1)
            return [count, len(cache["a"]), len(SEEN), "fresh" in globals()]
        """,
        state="SEEN = set()",
    )
    assert lab.mutation("m:f") == [1, 2, 1, True]
    assert lab.mutation("m:f") == [1, 2, 1, True]


def test_globals_that_cannot_be_copied_are_left_alone() -> None:
    lab = lab_of(
        """
        import threading
        held = {"lock": threading.Lock()}
        @query
        def f(ctx):
            held["more"] = 1
            return 1
        """
    )
    assert lab.query("m:f") == 1
