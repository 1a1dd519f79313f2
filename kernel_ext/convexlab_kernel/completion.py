"""Completion for IPython: the live deployment's names, where they are meant.

    %convex run tasks:cr|                   functions, and their arguments' names
    ctx.db.query("tasks").with_index("|     in a module's cell: tables, indexes, fields
    db.query("tasks:l|                      in other cells: functions, tables

What is said here is asked of the deployment between two keystrokes; see `known`.
"""

from __future__ import annotations

import inspect
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from convexlab.errors import ConvexlabError
from convexlab_kernel import cells, discovery
from convexlab_kernel.client import Database
from convexlab_kernel.commands import COMMANDS
from convexlab_kernel.cursor import cursor_at_end
from convexlab_kernel.inventory import Inventory
from convexlab_kernel.known import Known
from convexlab_kernel.options import DEPLOYMENT
from convexlab_kernel.suggestions import (
    CLIENTS,
    CONTROLS,
    NOTHING,
    Suggestions,
    in_kernel,
    in_module,
)

if TYPE_CHECKING:
    from convexlab_kernel.cursor import Cursor
    from convexlab_kernel.notebook import Notebook

_LINE: Final = re.compile(r"^\s*(?:[\w\s,.\[\]*]+=\s*)?%convex\s(?P<rest>.*)$")
_OPTION: Final = re.compile(r"--[\w-]+")
_NAMED: Final = ("schema", "http", "crons", "auth_config")
# Of the commands that take words of their own.
_WORDS: Final = {"env": ("list", "get", "set", "remove"), "help": tuple(COMMANDS)}


def matcher(notebook: Notebook) -> Any:
    """A completer for IPython, of the names of the deployments that a notebook uses."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    completion = Completion(notebook)

    @context_matcher()  # type: ignore[untyped-decorator]  # IPython is untyped
    def convex_matcher(context: Any) -> dict[str, Any]:
        lines = context.full_text.split("\n")[: context.cursor_line + 1]
        lines[-1] = lines[-1][: context.cursor_position]
        found = completion.suggestions("\n".join(lines))
        return {
            "completions": [
                SimpleCompletion(word, type="param") for word in found.fitting
            ],
            "matched_fragment": found.begun,
            "suppress": found.alone and bool(found.fitting),
        }

    convex_matcher.notebook = notebook
    return convex_matcher


class Completion:
    """Completes what is typed in a notebook.

    Args:
        notebook: says which deployment is meant.
    """

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._known: WeakKeyDictionary[Database, Known] = WeakKeyDictionary()

    def suggestions(self, before: str) -> Suggestions:
        """What may stand after this text of a cell."""
        line = before.rpartition("\n")[2]
        magic = _LINE.match(line)
        if magic is not None:
            return self._magic(magic["rest"])
        first, newline, body = before.lstrip().partition("\n")
        header = cells.HEADER.match(first)
        if header is None:
            return self._called(cursor_at_end(before))
        named = DEPLOYMENT.search(header["line"])
        target = None if named is None else named[1]
        if not newline:
            return self._header(header["line"], target)
        # N.B. `before` begins with the cell: what stands in the line is no Python.
        return in_module(cursor_at_end(f"\n{body}"), self._inventory(target))

    # -- %convex, %%convex -----------------------------------------------------

    def _header(self, line: str, target: str | None) -> Suggestions:
        *said, begun = re.split(r"\s+", line.lstrip())
        if said[-1:] == ["--deployment"]:
            return Suggestions(begun, _deployments())
        words = [*cells.FLAGS, *self._inventory(target).modules, *_NAMED]
        return Suggestions(begun, list(dict.fromkeys(words)))

    def _magic(self, rest: str) -> Suggestions:
        command, space, after = rest.lstrip().partition(" ")
        if not space:
            return Suggestions(command, [*COMMANDS, "help"])
        if command not in {*COMMANDS, "help"}:
            return NOTHING
        begun = re.split(r"\s", after)[-1]
        said = after[: len(after) - len(begun)].split()
        named = DEPLOYMENT.search(after)
        names = self._inventory(None if named is None else named[1])
        if begun.startswith("--"):
            return Suggestions(begun, _options(command, said))
        if said and said[-1].startswith("--"):
            return Suggestions(begun, _values(said[-1], names))
        if command in {"run", "watch"}:
            return _call(command, after, names)
        return Suggestions(begun, self._first(command, said, names))

    def _first(self, command: str, said: list[str], names: Inventory) -> list[str]:
        """What a command takes for its first word, or for each."""
        if command == "schema":
            return [*names.tables]
        if said:
            return []
        match command:
            case "data":
                return [*names.tables]
            case "remove":
                return [*names.modules]
            case "use" | "deploy" | "login":
                return _deployments()
            case _:
                return [*_WORDS.get(command, ())]

    # -- Python ----------------------------------------------------------------

    def _called(self, cursor: Cursor) -> Suggestions:
        """In a cell of the kernel's: calls of a deployment that a variable holds."""
        for bracket in reversed(cursor.brackets):
            if not bracket.chain:
                continue
            root = self._notebook.variables.get(bracket.chain[0].name)
            if isinstance(root, Database) and len(bracket.chain) > 1:
                if bracket.called in {*CLIENTS, "table", "history", "sql"}:
                    return in_kernel(cursor, self._of(root))
                return NOTHING
            if bracket.called in CONTROLS:
                return in_kernel(cursor, self._inventory(None))
        return NOTHING

    def _inventory(self, target: str | None) -> Inventory:
        database = self._notebook.connected(target)
        return Inventory() if database is None else self._of(database)

    def _of(self, database: Database) -> Inventory:
        if not database.attachment.admin:
            return Inventory()
        if database not in self._known:
            self._known[database] = Known(database)
        return self._known[database].inventory()


def _call(command: str, after: str, names: Inventory) -> Suggestions:
    """A function, then the keys of its arguments."""
    rest = DEPLOYMENT.sub(" ", after, count=1).lstrip()
    path, space, expression = rest.partition(" ")
    if not space:
        kinds = CLIENTS[command]
        return Suggestions(path, names.of_kind(*kinds))
    cursor = cursor_at_end(expression)
    inner = cursor.brackets[-1] if len(cursor.brackets) == 1 else None
    if cursor.text is None or inner is None or inner.kind != "{" or inner.is_value:
        return NOTHING
    return Suggestions(cursor.text, [*names.arguments(path)])


def _options(command: str, said: list[str]) -> list[str]:
    """A command's options, as its help names them, without those that are there."""
    if command not in COMMANDS:
        return []
    usage = (inspect.getdoc(COMMANDS[command]) or "").partition("\n")[0]
    return [name for name in dict.fromkeys(_OPTION.findall(usage)) if name not in said]


def _values(option: str, names: Inventory) -> list[str]:
    match option:
        case "--deployment":
            return _deployments()
        case "--table":
            return [*names.tables]
        case "--function":
            return [*names.functions]
        case "--order":
            return ["asc", "desc"]
        case _:
            return []


def _deployments() -> list[str]:
    with suppress(ConvexlabError, OSError):
        return [*discovery.known()]
    return []
