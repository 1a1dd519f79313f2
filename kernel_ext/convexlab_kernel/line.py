"""A `%convex` line: what was typed, where, and what is said of it."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from convexlab_kernel.notebook import Notebook


@dataclass(frozen=True, slots=True)
class Line:
    """A command's line.

    Args:
        notebook: where it was typed.
        rest: what follows the word.
        namespace: the notebook's variables.
    """

    notebook: Notebook
    rest: str
    namespace: dict[str, Any]


class Text:
    """What a command has to say, shown as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def asked(prompt: str, otherwise: str) -> str:
    """A secret that is typed into the notebook's page, and not kept there.

    Args:
        prompt: what is asked for.
        otherwise: what to do where nobody is there to answer.
    """
    try:
        said = getpass.getpass(prompt).strip()
    except (EOFError, NotImplementedError, RuntimeError):
        raise InvalidArguments(f"There is nobody here to ask: {otherwise}") from None
    if not said:
        raise InvalidArguments(f"Nothing was typed: {otherwise}")
    return said
