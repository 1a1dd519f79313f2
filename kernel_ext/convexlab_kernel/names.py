"""Names of a module: which it binds, which it uses and has not.

A module's cell does not see the notebook's variables. So a name that a module uses
and does not bind is a mistake, and where the notebook has a variable of that name,
the mistake that people make.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What every module has without saying so.
_OWN: Final = {"__name__", "__file__", "__doc__", "__spec__", "__package__"}
_CLIENT: Final = {"convexlab_kernel.client", "convexlab_kernel.references"}
_GIVEN: Final = frozenset(dir(builtins)) | _OWN


@dataclass(frozen=True, slots=True)
class Unbound:
    """A name that a module uses and does not bind, and where it does first."""

    name: str
    line: int


def unbound(source: str) -> list[Unbound]:
    """The names that a module uses and nobody binds, in order of appearance.

    Nothing is known of a module with `from … import *`, or one that does not parse.
    """
    try:
        tree = ast.parse(source)
        table = symtable.symtable(source, "<module>", "exec")
    except (SyntaxError, ValueError):
        return []
    if any(_is_star(node) for node in ast.walk(tree)):
        return []
    missing = set(_used(table)) - bound(source) - _GIVEN
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in missing:
            lines[node.id] = min(node.lineno, lines.get(node.id, node.lineno))
    found = [Unbound(name, line) for name, line in lines.items()]
    return sorted(found, key=lambda one: (one.line, one.name))


def bound(source: str) -> set[str]:
    """The names that a module binds at its top level."""
    table = symtable.symtable(source, "<module>", "exec")
    return set(_bound(table, top=True))


def explained(name: str, value: object) -> str:
    """What to do about a variable of the notebook in a module.

    Args:
        name: the variable's.
        value: what it is in the notebook.
    """
    unseen = f"`{name}` is a variable of this notebook, and a module does not see it: "
    if type(value).__module__ in _CLIENT:
        return f"{unseen}inside of a function the database is `ctx.db`."
    if callable(value) or isinstance(value, ModuleType):
        return f"{unseen}import it, or define it, in the module's cell."
    return f"{unseen}pass it as an argument, or define it in the module's cell."


def explained_error(message: str, namespace: Mapping[str, object]) -> str | None:
    """What to add to a function's failure whose name the notebook has and it has not."""
    _, found, rest = message.partition("NameError: name '")
    name = rest.partition("'")[0]
    return explained(name, namespace[name]) if found and name in namespace else None


def _used(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or top):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _used(child)


def _bound(table: symtable.SymbolTable, *, top: bool) -> Iterator[str]:
    for symbol in table.get_symbols():
        binds = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
        if binds and (top or symbol.is_declared_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _bound(child, top=False)


def _is_star(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
