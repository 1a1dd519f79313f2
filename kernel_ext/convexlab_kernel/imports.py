"""The imports of several cells as those of one module. Pure.

Each cell of a module brings its own imports, so that it stands alone; one file
says each once, at its top: `from convexlab import query` in one cell and
`from convexlab import mutation` in another are one line.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from typing import Final

_WIDTH: Final = 88


@dataclass(frozen=True, slots=True)
class Name:
    """One imported name: where it is from, and what it is called here.

    Args:
        module: `convexlab`, `.shared`; the imported module itself, without `name`.
        name: the name in it; None for `import module`.
        alias: after `as`.
    """

    module: str
    name: str | None
    alias: str | None = None

    @property
    def bound(self) -> str:
        """What is bound by it."""
        return self.alias or self.name or self.module.partition(".")[0]

    @property
    def key(self) -> tuple[str, str | None]:
        """What stands behind the bound name: `import a.b` and `import a.c` bind one `a`."""
        if self.name is None and self.alias is None:
            return self.bound, None
        return self.module, self.name

    def __str__(self) -> str:
        said = self.name or self.module
        return f"{said} as {self.alias}" if self.alias else said


@dataclass(slots=True)
class Split:
    """A cell's source: its imports, and the lines that are left."""

    names: list[Name] = field(default_factory=list)
    body: str = ""


def split_imports(source: str) -> Split:
    """Take a cell's plain imports out of its top level.

    An import that shares its line, or has a comment, or stands in an `if` or a `try`,
    stays where it is: somebody put it there.
    """
    lines = source.split("\n")
    names: list[Name] = []
    taken: set[int] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom) and _alone(node, lines):
            names += _names(node)
            taken |= set(range(node.lineno - 1, (node.end_lineno or node.lineno)))
    kept = [line for number, line in enumerate(lines) if number not in taken]
    return Split(names, "\n".join(kept).strip("\n"))


def merged(names: list[Name]) -> str:
    """The statements that import these names: Python's, packages', the module's own."""
    blocks: dict[int, list[str]] = {}
    for statement in _statements(names):
        blocks.setdefault(_rank(statement), []).append(statement)
    ordered = [sorted(blocks[rank], key=_key) for rank in sorted(blocks)]
    return "\n\n".join("\n".join(block) for block in ordered)


def _statements(names: list[Name]) -> list[str]:
    plain = sorted({f"import {name}" for name in names if name.name is None})
    modules: dict[str, set[str]] = {}
    for name in names:
        if name.name is not None:
            modules.setdefault(name.module, set()).add(str(name))
    return plain + [_from(module, members) for module, members in modules.items()]


def _from(module: str, members: set[str]) -> str:
    listed = sorted(members, key=_place)
    line = f"from {module} import {', '.join(listed)}"
    if len(line) <= _WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"    {n},\n" for n in listed) + ")"


def _place(name: str) -> tuple[int, str, str]:
    """Constants, classes, the rest: the order of isort and ruff."""
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower(), name


def _rank(statement: str) -> int:
    root = statement.split()[1]
    if root.startswith("."):
        return 3
    top = root.partition(".")[0]
    if top == "__future__":
        return 0
    return 1 if top in sys.stdlib_module_names else 2


def _key(statement: str) -> tuple[bool, str]:
    return statement.startswith("from "), statement.split()[1].lower()


def _names(node: ast.Import | ast.ImportFrom) -> list[Name]:
    if isinstance(node, ast.Import):
        return [Name(one.name, None, one.asname) for one in node.names]
    module = "." * node.level + (node.module or "")
    return [Name(module, one.name, one.asname) for one in node.names]


def _alone(node: ast.stmt, lines: list[str]) -> bool:
    """Whether a statement has its lines for itself."""
    end = (node.end_lineno or node.lineno) - 1
    before = lines[node.lineno - 1][: node.col_offset]
    inside = lines[node.lineno - 1 : end + 1]
    after = lines[end].encode()[node.end_col_offset :].strip()
    return not before and not after and not any("#" in line for line in inside)
