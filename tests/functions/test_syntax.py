from __future__ import annotations

import ast

import pytest

from convexlab.functions.syntax import ParsedModule, Refused, check_awaits, line_of


def parsed(text: str) -> ParsedModule:
    return ParsedModule("m", text, "convex/m.py")


def test_text_that_does_not_parse_keeps_its_error() -> None:
    module = parsed("def f(:")
    assert isinstance(module.error, SyntaxError)
    assert list(module.relative_imports()) == []
    assert parsed("\0").error is not None


def test_relative_imports_are_found_wherever_they_stand() -> None:
    module = parsed(
        "from .a import x, y\nimport json\ndef f():\n    from ..b.c import z\n    from . import d"
    )
    assert list(module.relative_imports()) == [
        (1, "a", ["x", "y"]),
        (2, "b.c", ["z"]),
        (1, "", ["d"]),
    ]


def test_changed_globals_are_those_that_functions_change() -> None:
    module = parsed(
        "A = {}\nA['at the top'] = 1\n"
        "def f():\n    B[1] = 2\n    C.append(1)\n    D.x = 1\n    E += 1\n    del G['a']\n    print(H[0], I.get(1))\n"
        "g = lambda: J.setdefault(1, [])\n"
        "def k():\n    global L\n    M[0].x.y['a'] = 1"
    )
    assert module.changed_globals == {"B", "C", "D", "E", "G", "J", "L", "M"}
    assert module.has_global_statements


def test_chains_are_the_longest() -> None:
    module = parsed("x = api.a.b\ny = api.c\nf(internal.d.e.f).g\nz = h().i")
    assert list(module.chains()) == [
        (1, ["api", "a", "b"]),
        (2, ["api", "c"]),
        (3, ["internal", "d", "e", "f"]),
    ]


def test_decorators_have_an_order() -> None:
    parsed(
        "@query\n@other\ndef f(): ...\n@mutation(args={})\ndef g(): ..."
    ).check_decorators()
    with pytest.raises(Refused, match="swap `@other` and `@query`"):
        parsed("@other(1)\n@query(args={})\ndef f(): ...").check_decorators()
    with pytest.raises(Refused, match="swap `@wraps` and `@mutation`"):
        parsed(
            "@functools.wraps(g)\n@convexlab.mutation\ndef f(): ..."
        ).check_decorators()


def test_a_parameters_line_is_found() -> None:
    (node,) = parsed(
        "@d\ndef f(\n  a,\n  *b,\n  c,\n  **e\n) -> int: ..."
    ).defs.values()
    assert [
        line_of(node, name) for name in ("a", "b", "c", "e", "return", "x", None)
    ] == [3, 4, 5, 6, 7, 2, 2]
    assert line_of(None, "a") is None


def test_awaits_on_other_things_pass() -> None:
    node = ast.parse(
        "async def f(c):\n    await helper(c)\n    return await other.db.get(1)"
    ).body[0]
    assert isinstance(node, ast.AsyncFunctionDef)
    check_awaits(node, "query")
    wrong = ast.parse("async def f(c):\n    return await c.db.get(1)").body[0]
    assert isinstance(wrong, ast.AsyncFunctionDef)
    with pytest.raises(Refused, match="without `await`"):
        check_awaits(wrong, "query")
