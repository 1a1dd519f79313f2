"""What `%convex env …` does, word by word; no answer shows a value that was set."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convexlab.errors import InvalidArguments, NotFound
from convexlab_kernel.environment import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab_kernel.environment import Environment
    from convexlab_kernel.options import Options


def answer(environment: Environment, options: Options) -> str:
    """Do what a line says; what is to be shown of it.

    Args:
        environment: whose variables.
        options: the line: a word, what follows it, `--from-file` and `--force`.
    """
    word, *rest = options.words or ["list"]
    what = _WORDS.get(word)
    if what is None:
        known = ", ".join(_WORDS)
        raise NotFound(f"%convex env does not know `{word}`. It knows: {known}.")
    return what(environment, rest, options)


def _list(environment: Environment, rest: list[str], _: Options) -> str:
    _expect(not rest, "list")
    return "\n".join(environment.names()) or "No environment variables are set."


def _get(environment: Environment, rest: list[str], _: Options) -> str:
    _expect(len(rest) == 1, "get NAME")
    return environment.get(rest[0])


def _set(environment: Environment, rest: list[str], options: Options) -> str:
    file = options.value("from-file")
    if file is not None:
        _expect(not rest, "set --from-file FILE")
        told = environment.set_all(_text(file), force=options.flag("force"))
        return f"{file}: {told}"
    _expect(len(rest) in (1, 2), "set NAME ['VALUE']")
    name, value = split(rest[0], rest[1] if len(rest) == 2 else None)
    environment.set({name: _asked(name) if value is None else value})
    return f"{name} is set."


def _remove(environment: Environment, rest: list[str], _: Options) -> str:
    _expect(bool(rest), "remove NAME…")
    environment.remove(rest)
    return f"No longer set: {', '.join(rest)}."


_WORDS: Final[dict[str, Callable[[Environment, list[str], Options], str]]] = {
    "list": _list,
    "get": _get,
    "set": _set,
    "remove": _remove,
    "unset": _remove,
}


def _asked(name: str) -> str:
    """A value that is typed into the notebook's page, and not kept there."""
    try:
        return getpass.getpass(f"Value of {name}: ")
    except (EOFError, NotImplementedError, RuntimeError):
        raise InvalidArguments(
            f"There is nobody here to ask for the value of {name}: set it in a shell, "
            f"`convexlab env set {name}`, or write it behind the name."
        ) from None


def _text(file: str) -> str:
    path = Path(file).expanduser()
    if not path.is_file():
        raise NotFound(f"There is no file {path} (in {Path.cwd()}).")
    return path.read_text(encoding="utf-8")


def _expect(is_so: bool, form: str) -> None:
    if not is_so:
        raise InvalidArguments(f"This is written `%convex env {form}`.")
