"""Syntax: what can be said of a module's text without running it.

Which neighbours it imports, where its functions and their parameters stand, and
the refusals that only the text shows: an `await` where calls are plain, another
decorator above ours. Also which globals its functions may change.
"""

from __future__ import annotations

import ast
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Def: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_DECORATORS: Final = frozenset({
    "query", "mutation", "action", "internal_query", "internal_mutation", "internal_action", "http_action",
})  # fmt: skip
# Methods that change a list, dict, set or deque.
_MUTATORS: Final = frozenset({
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft",
    "remove", "reverse", "setdefault", "sort", "update",
})  # fmt: skip


class Refused(Exception):
    """A rule that a module's text breaks.

    Args:
        message: what is wrong and what to write.
        line: where.
    """

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class ParsedModule:
    """A module's syntax tree.

    Attributes:
        path, text, filename: of the module.
        error: why it does not parse; the tree is empty then.
    """

    def __init__(self, path: str, text: str, filename: str) -> None:
        self.path = path
        self.text = text
        self.filename = filename
        self.error: SyntaxError | ValueError | None = None
        try:
            self.tree = ast.parse(text, filename)
        except (SyntaxError, ValueError) as error:
            self.error = error
            self.tree = ast.Module([], [])

    @cached_property
    def lines(self) -> list[str]:
        """The text by line."""
        return self.text.splitlines()

    @cached_property
    def defs(self) -> dict[int, Def]:
        """Function definitions by their code object's first line."""
        return {
            min(
                [node.lineno, *(decorator.lineno for decorator in node.decorator_list)]
            ): node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def line_of_variable(self, name: str) -> int | None:
        """Where the top level sets a variable, the last time."""
        found = None
        for node in self.tree.body:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=target)])
                    | ast.AnnAssign(target=ast.Name(id=target))
                ) if target == name:
                    found = node.lineno
        return found

    def relative_imports(self) -> Iterator[tuple[int, str, list[str]]]:
        """Level, module and names of each relative import, wherever it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.level > 0:
                yield (
                    node.level,
                    node.module or "",
                    [alias.name for alias in node.names],
                )

    @cached_property
    def has_global_statements(self) -> bool:
        """Whether a function binds a global anew."""
        return any(isinstance(node, ast.Global) for node in ast.walk(self.tree))

    @cached_property
    def changed_globals(self) -> set[str]:
        """Names whose values functions of this module may change."""
        inside = (
            node
            for function in ast.walk(self.tree)
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for node in ast.walk(function)
        )
        return {name for node in inside for name in _changed(node)}

    def check_decorators(self) -> None:
        """Refuses other decorators above ours."""
        for node in self.defs.values():
            names = [_decorator_name(decorator) for decorator in node.decorator_list]
            for above, name in pairwise(names):
                if name in _DECORATORS and above not in {*_DECORATORS, "route"}:
                    raise Refused(
                        f"`{node.name}`: other decorators go below `@{name}`: swap `@{above}` and `@{name}`.",
                        node.decorator_list[0].lineno,
                    )

    def chains(self) -> Iterator[tuple[int, list[str]]]:
        """Line and names of the longest attribute chains on a plain name: `api.a.b`."""
        inner = {
            id(node.value)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute)
        }
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Attribute) or id(node) in inner:
                continue
            names: list[str] = []
            part: ast.expr = node
            while isinstance(part, ast.Attribute):
                names.append(part.attr)
                part = part.value
            if isinstance(part, ast.Name):
                yield node.lineno, [part.id, *reversed(names)]


def line_of(node: Def | None, parameter: str | None) -> int | None:
    """Where a parameter stands, or the result's annotation ("return")."""
    if node is None:
        return None
    if parameter == "return":
        return node.returns.lineno if node.returns is not None else node.lineno
    given = node.args
    everything = [
        *given.posonlyargs,
        *given.args,
        *given.kwonlyargs,
        given.vararg,
        given.kwarg,
    ]
    for argument in everything:
        if argument is not None and argument.arg == parameter:
            return argument.lineno
    return node.lineno


def check_awaits(node: Def, kind: str) -> None:
    """Refuses waiting for calls on ctx, which are plain in queries and mutations."""
    first = [*node.args.posonlyargs, *node.args.args][:1]
    ctx = first[0].arg if first else "ctx"
    for inner in ast.walk(node):
        if isinstance(inner, ast.Await) and ctx in _root(inner.value):
            call = ast.unparse(inner.value)
            raise Refused(
                f"calls on `{ctx}` in a {kind} are plain: write `{call}` without `await`.",
                inner.lineno,
            )
        if isinstance(inner, ast.AsyncFor) and ctx in _root(inner.iter):
            raise Refused(
                f"calls on `{ctx}` in a {kind} are plain: write `for`, not `async for`.",
                inner.lineno,
            )
        if (
            isinstance(inner, ast.comprehension)
            and inner.is_async
            and ctx in _root(inner.iter)
        ):
            raise Refused(
                f"calls on `{ctx}` in a {kind} are plain: write `for`, not `async for`.",
                inner.iter.lineno,
            )


def _changed(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Global):
        yield from node.names
    elif isinstance(node, ast.Subscript | ast.Attribute) and isinstance(
        node.ctx, ast.Store | ast.Del
    ):
        yield from _root(node.value)
    elif (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _MUTATORS
    ):
        yield from _root(node.func.value)
    elif isinstance(node, ast.AugAssign):
        yield from _root(node.target)


def _root(node: ast.AST) -> list[str]:
    """The name that a chain of attributes, items and calls begins with."""
    while isinstance(node, ast.Subscript | ast.Attribute | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return [node.id] if isinstance(node, ast.Name) else []


def _decorator_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else ast.unparse(node)
