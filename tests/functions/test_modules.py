from __future__ import annotations

import logging
import sys

import pytest
from tests.functions.lab import NOW_MS, analysis_of, lab_of, source_of

from convexlab.errors import NotFound, PushFailed
from convexlab.functions.analysis import analyze
from convexlab.functions.module_sources import ModuleSource
from convexlab.functions.modules import ModuleSet


def test_a_path_finds_its_function_in_every_spelling() -> None:
    modules = lab_of(
        """
        @query
        def get_by_channel(ctx): ...
        @query
        def default(ctx): ...
        @query(name="given")
        def other(ctx): ...
        """,
        a__b="""
        @query
        def f(ctx): ...
        """,
    ).modules
    found = modules.function("m:get_by_channel")
    assert modules.function("m:getByChannel") is found
    assert modules.function("m.js:getByChannel") is found
    assert modules.function("m") is modules.function("m:default")
    assert modules.function("a/b:f").path == "a/b:f"
    assert modules.function("m:given").path == "m:given"
    for path in ("m:other", "m:nope", "nope:f", "nope", "a:b", "m:helper"):
        with pytest.raises(NotFound, match="Could not find function"):
            modules.function(path)


def test_relative_imports_find_neighbours() -> None:
    lab = lab_of(
        """
        from . import shared
        from .shared import NAME
        from .lib import tools
        from .lib.tools import double
        from .lib.deep.down import up
        @query
        def f(ctx):
            from .late import LATE
            return [shared.NAME, NAME, tools.double(2), double(3), up(), LATE]
        """,
        shared="NAME = 'n'",
        late="LATE = 'late'",
        lib__tools="def double(x): return 2 * x",
        lib__deep__down="from ..tools import double\nfrom ...shared import NAME\ndef up(): return [double(5), NAME]",
    )
    assert lab.query("m:f") == ["n", "n", 4, 6, [10, "n"], "late"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("from .nope import x", "there is no module `nope` in this deployment"),
        ("from . import nope", "there is no module `nope` in this deployment"),
        ("from ..above import x", "above the functions folder"),
        (
            "import surely_not_installed",
            "package `surely_not_installed` is not installed where the deployment runs",
        ),
        (
            "import surely_not_installed.sub as s",
            "package `surely_not_installed` is not installed",
        ),
        ("import shared", r"write `from \.shared import …`"),
        ("from .shared import nope", "there is no `nope` in the module `shared`"),
    ],
)
def test_an_import_that_fails_is_explained_with_its_line(line, said) -> None:
    with pytest.raises(PushFailed, match=said) as caught:
        analysis_of("x = 1\n" + line, shared="NAME = 1")
    assert (caught.value.path, caught.value.line) == ("m", 4)


def test_a_user_module_hides_nothing_of_pythons() -> None:
    lab = lab_of(
        """
        import logging as pythons
        from . import logging as ours, json
        import json as pythons_json
        @query
        def f(ctx):
            import http.client
            return [ours.MINE, pythons.INFO, json.MINE, pythons_json.dumps([]), http.client.OK]
        """,
        logging="MINE = 'ours'",
        json="MINE = 'ours too'",
        http="from convexlab import http_router\nhttp = http_router()",
        error="X = 1",
        internal="X = 2",
    )
    assert lab.query("m:f") == ["ours", 20, "ours too", "[]", 200]
    assert sys.modules["logging"] is logging


def test_classes_find_their_module_again() -> None:
    lab = lab_of(
        """
        import pickle
        from dataclasses import dataclass, fields
        import typing
        @dataclass
        class Point:
            x: "int"
            kind: "typing.ClassVar[str]" = "point"
        @query
        def f(ctx):
            return [field.name for field in fields(Point)]
        """
    )
    assert lab.query("m:f") == ["x"]


def test_the_future_import_and_dataclasses_go_together() -> None:
    modules = ModuleSet(
        [
            source_of(
                "m",
                """
                from __future__ import annotations
                import dataclasses
                from typing import ClassVar
                @dataclasses.dataclass
                class Point:
                    x: int
                    kind: ClassVar[str] = "p"
                    made: dataclasses.InitVar[int] = 0
                """,
            )
        ]
    )
    assert modules.load("m").namespace.Point(1).x == 1


def test_unchanged_modules_stay_loaded() -> None:
    texts = {
        "a": "from .b import x\nmark = object()",
        "b": "x = 1",
        "c": "mark = object()",
    }
    first = ModuleSet([ModuleSource(path, text) for path, text in texts.items()])
    first.load_all()
    second = ModuleSet(
        [ModuleSource(path, text) for path, text in {**texts, "b": "x = 2"}.items()],
        previous=first,
    )
    assert second.load("c") is first.load("c")
    assert second.load("a") is not first.load("a")
    assert second.load("a").namespace.x == 2
    assert first.load("a").namespace.x == 1


def test_a_circular_import_is_explained_where_it_is_one() -> None:
    with pytest.raises(PushFailed, match="`b` and `a` import each other, so `x`"):
        analyze(
            [
                ModuleSource("a", "from .b import y\nx = 1"),
                ModuleSource("b", "from .a import x\ny = 1"),
            ]
        )
    analyze(
        [
            ModuleSource("a", "from . import b\nx = 1"),
            ModuleSource("b", "from . import a\ny = 1"),
        ]
    )


def test_what_raises_at_the_top_level_is_shown_with_its_lines() -> None:
    with pytest.raises(PushFailed) as caught:
        analysis_of("def check():\n    raise ValueError('too bad')\ncheck()")
    error = caught.value
    assert str(error) == "ValueError: too bad"
    assert (error.path, error.line) == ("m", 4)
    assert error.traceback == (
        '  File "convex/m.py", line 5, in <module>\n    check()\n'
        "  File \"convex/m.py\", line 4, in check\n    raise ValueError('too bad')\n"
        "ValueError: too bad"
    )


def test_an_error_in_an_imported_module_names_that_module() -> None:
    with pytest.raises(PushFailed, match="ZeroDivisionError") as caught:
        analysis_of("from . import shared", shared="\n1 / 0")
    assert (caught.value.path, caught.value.line) == ("shared", 4)


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(PushFailed, match="SyntaxError") as caught:
        analysis_of("x = 1\ndef f(:\n  pass")
    assert (caught.value.path, caught.value.line) == ("m", 4)


def test_a_kernel_variable_at_the_top_level_gets_the_hint() -> None:
    with pytest.raises(
        PushFailed, match="sees no variable of the notebook's kernel"
    ) as caught:
        analysis_of("limit = threshold + 1")
    assert caught.value.line == 3


def test_a_module_that_failed_leaves_its_forerunner_in_place() -> None:
    good = analysis_of("class Kept: ...")
    with pytest.raises(PushFailed):
        analysis_of("1 / 0")
    assert sys.modules["convex_modules.m"] is good.modules.load("m").namespace


def test_time_and_chance_stand_still_while_loading() -> None:
    text = "import random, time, uuid\nfrom datetime import datetime\n@query\ndef f(ctx): return AT\n"
    text += (
        "AT = [random.random(), time.time(), str(uuid.uuid4()), str(datetime.now())]"
    )
    assert lab_of(text).query("m:f") == lab_of(text).query("m:f")
    assert lab_of(text).query("m:f")[1] == NOW_MS / 1000


def test_the_top_level_does_no_io() -> None:
    with pytest.raises(
        PushFailed,
        match="only actions may read the environment, and this is a module's top level",
    ):
        analysis_of("import os\nKEY = os.environ['HOME']")
    with pytest.raises(PushFailed, match="only actions may open files"):
        analysis_of("x = open('/etc/hostname')")
