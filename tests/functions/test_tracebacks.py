from __future__ import annotations

from convexlab.errors import ConvexError
from convexlab.functions.tracebacks import (
    describe,
    format_error,
    user_frames,
    user_line,
)


class Lines:
    def line(self, filename: str, number: int) -> str:
        return f"    line {number} of {filename}"


def raised(
    text: str, filename: str = "convex/a/b.py", **names: object
) -> BaseException:
    try:
        exec(compile(text, filename, "exec"), dict(names))
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError(text)


def test_only_the_users_frames_are_shown() -> None:
    def ours(function):
        function()

    error = raised("def f():\n    1 / 0\nours(f)", ours=ours)
    assert user_frames(error, Lines()) == [
        '  File "convex/a/b.py", line 3, in <module>\n    line 3 of convex/a/b.py',
        '  File "convex/a/b.py", line 2, in f\n    line 2 of convex/a/b.py',
    ]
    assert user_line(error, "convex/a/b.py") == 2
    assert user_line(error, "convex/other.py") is None
    assert format_error(error, Lines()).startswith(
        "Uncaught ZeroDivisionError: division by zero\n  File"
    )


def test_deep_stacks_are_folded() -> None:
    frames = user_frames(
        raised("def f(n):\n    f(n - 1) if n else 1 / 0\nf(99)"), Lines()
    )
    assert len(frames) == 41
    assert frames[20] == "  … 61 more frames …"


def test_an_error_without_text_is_its_name() -> None:
    assert describe(ValueError()) == "ValueError"
    assert describe(ConvexError("no")) == "ConvexError: no"
    assert describe(ConvexError({"a": 1})) == 'ConvexError: {"a": 1}'


def test_a_syntax_error_shows_the_place() -> None:
    error = raised("x = (")
    assert "SyntaxError" in describe(error)
    assert user_line(error, "convex/a/b.py") == 1


def test_a_cause_is_shown_unless_it_is_suppressed() -> None:
    text = "try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError('x') from {}"
    assert "Because of ZeroDivisionError" in format_error(
        raised(text.format("e")), Lines()
    )
    assert "Because of" not in format_error(raised(text.format("None")), Lines())
