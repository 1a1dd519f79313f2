"""Completion of `%convex` lines, with the names of the live deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab_kernel import cells
from convexlab_kernel.commands import COMMANDS

if TYPE_CHECKING:
    from convexlab_kernel.notebook import Notebook


def matcher(notebook: Notebook) -> Any:
    """A completer of `%convex` lines for IPython: words, functions, tables."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython is untyped
    def convex_matcher(context: Any) -> dict[str, Any]:
        line = context.full_text.split("\n")[context.cursor_line][
            : context.cursor_position
        ]
        words = candidates(notebook, line)
        token = line.rpartition(" ")[2]
        found = [word for word in words if word.startswith(token)]
        # IPython replaces its own token, which begins after a colon or a slash.
        shorter = (
            len(token) - len(context.token) if token.endswith(context.token) else 0
        )
        return {
            "completions": [
                SimpleCompletion(word[shorter:], type="param") for word in found
            ],
            "suppress": bool(found),
        }

    convex_matcher.notebook = notebook
    return convex_matcher


def candidates(notebook: Notebook, line: str) -> list[str]:
    """What may stand at the end of a line, with the names of the live deployment."""
    words = line.lstrip("# ").split(" ")
    if words[0] == "%%convex":
        names = [module.path for module in _quiet_status(notebook)]
        return [*cells.FLAGS[:3], *names, "schema"]
    if words[0] != "%convex":
        return []
    if len(words) == 2:
        return [*COMMANDS, "help"]
    if words[1] in {"run", "watch"} and len(words) == 3:
        return [
            f"{module.path}:{name}"
            for module in _quiet_status(notebook)
            for _, name in module.described()
        ]
    if words[1] == "data" and len(words) == 3:
        return _quiet_tables(notebook)
    return []


def _quiet_status(notebook: Notebook) -> list[Any]:
    try:
        return notebook.database().status().modules
    except Exception:  # noqa: BLE001 - completion never disturbs typing
        return []


def _quiet_tables(notebook: Notebook) -> list[str]:
    try:
        return list(notebook.database().tables)
    except Exception:  # noqa: BLE001 - completion never disturbs typing
        return []
