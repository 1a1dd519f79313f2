"""Reading a `%convex` line: its words, its options, its one Python expression."""

from __future__ import annotations

import difflib
import re
import shlex
from typing import Any

from convexlab.errors import InvalidArguments

NAMES = {"true": True, "false": False, "null": None}
DEPLOYMENT = re.compile(r"(?:^|\s)--deployment[ =](\S+)(?=$|\s)")


def without_deployment(rest: str) -> tuple[str, str | None]:
    """Split `--deployment NAME` off, which stands before or after the call."""
    for found in DEPLOYMENT.finditer(rest):
        before, after = rest[: found.start()].strip(), rest[found.end() :].strip()
        if not before or not after:
            return before or after, found[1]
    return rest.strip(), None


def evaluate(expression: str, namespace: dict[str, Any]) -> Any:
    """The value of a Python expression in the notebook; `true false null` understood."""
    try:
        code = compile(expression.strip(), "<arguments>", "eval")
    except SyntaxError as error:
        message = f"`{expression.strip()}` is not a Python expression: {error.msg}."
        raise InvalidArguments(message) from None
    try:
        return eval(code, NAMES | namespace)  # noqa: S307 - the user's own expression
    except Exception as error:  # noqa: BLE001 - the user's own expression
        message = f"`{expression.strip()}`: {type(error).__name__}: {error}"
        raise InvalidArguments(message) from None


class Options:
    """A line's words and options, refused by name where they are not known.

    Args:
        rest: the line.
        values: options that take a value.
        flags: options that do not.
    """

    def __init__(
        self, rest: str, *, values: tuple[str, ...] = (), flags: tuple[str, ...] = ()
    ) -> None:
        self.words: list[str] = []
        self._values: dict[str, str] = {}
        self._flags: set[str] = set()
        words = shlex.split(rest)
        while words:
            word = words.pop(0)
            if not word.startswith("--"):
                self.words.append(word)
                continue
            name, _, value = word[2:].partition("=")
            if name in flags:
                self._flags.add(name)
            elif name not in values:
                raise InvalidArguments(_unknown_option(name, (*values, *flags)))
            elif not value and not words:
                raise InvalidArguments(f"--{name} needs a value.")
            else:
                self._values[name] = value or words.pop(0)

    def value(self, name: str) -> str | None:
        """An option's value."""
        return self._values.get(name)

    def flag(self, name: str) -> bool:
        """Whether an option is there."""
        return name in self._flags

    def number(self, name: str, default: int) -> int:
        """An option's value as a whole number."""
        text = self._values.get(name)
        if text is None:
            return default
        if not text.isdigit():
            raise InvalidArguments(f"--{name} takes a whole number, not {text!r}.")
        return int(text)

    def one(self, what: str) -> str:
        """The line's only word."""
        if len(self.words) != 1:
            said = "nothing" if not self.words else " ".join(self.words)
            raise InvalidArguments(f"This takes {what}, and got: {said}.")
        return self.words[0]


def _unknown_option(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1, 0.5)
    meant = f" Is --{near[0]} meant?" if near else ""
    listed = ", ".join(f"--{one}" for one in known) or "no options"
    return f"--{name} is not known here.{meant} This takes {listed}."
