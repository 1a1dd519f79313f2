"""Cells as modules: what a `%%convex` cell is, and which of its lines a module's is.

    %%convex tasks            # %%convex tasks            the same, as a comment
    %%convex tasks --add      the cell is one part of the module, beside others

A module's source is its parts, one after another, each the whole cell with the
magic line as a comment: so a line of a part is a line of its cell, and the two
spellings give the same text. Pure: nothing here asks the deployment.

Invariants
    K1  Line k of a part is line k of the cell that it came from.
    K2  A part is replaced by the cell that it came from: the same cell's id, or,
        where ids are not known, one that defines one of the same names.
"""

from __future__ import annotations

import ast
import difflib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADER = re.compile(r"^\s*(?P<comment>#\s*)?%%convex(?P<line>\s.*|)$")
FUTURE = re.compile(r"^from\s+__future__\s+import\s", re.MULTILINE)
FLAGS = ("--add", "--dry-run", "--deployment", "--help")
MODULE = re.compile(r"[A-Za-z0-9_]+(?:/[A-Za-z0-9_]+)*")


@dataclass(frozen=True, slots=True)
class Header:
    """What a cell's `%%convex` line says."""

    module: str
    add: bool = False
    dry_run: bool = False
    deployment: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A cell's contribution to a module.

    Args:
        source: the cell's text, its magic line as a comment (K1).
        key: the cell's id, where the notebook tells it.
        cell: its number, as in `In[3]`, if it ran in this kernel.
    """

    source: str
    key: str | None = None
    cell: int | None = None

    @property
    def lines(self) -> list[str]:
        """The part's lines, which are the cell's."""
        return self.source.split("\n")

    def names(self) -> set[str]:
        """What the part defines at its top level."""
        try:
            tree = ast.parse(self.source)
        except SyntaxError:
            return set()
        return {
            node.name
            for node in tree.body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        }


# -- the magic line ------------------------------------------------------------


def comment_form(lines: list[str]) -> list[str]:
    """Turn `# %%convex tasks` on a cell's first line into the magic (for IPython)."""
    found = HEADER.match(lines[0].rstrip("\n")) if lines else None
    if found and found["comment"]:
        return [f"%%convex{found['line']}\n", *lines[1:]]
    return lines


def blank_lines_before(raw: str) -> int:
    """How many blank lines stand above a cell's first line: IPython drops them."""
    lines = raw.split("\n")
    first = next((n for n, line in enumerate(lines) if line.strip()), 0)
    return first if HEADER.match(lines[first]) else 0


def part_source(line: str, body: str, *, above: int) -> str:
    """A cell's text as a part's source (K1)."""
    header = f"# %%convex {line.strip()}".rstrip()
    return "\n" * above + f"{header}\n{body.rstrip()}\n"


def parse_header(line: str) -> Header:
    """Read what follows `%%convex`."""
    words = shlex.split(line)
    modules: list[str] = []
    said: dict[str, str | bool] = {}
    while words:
        word = words.pop(0)
        name, _, value = word.partition("=")
        if not word.startswith("-"):
            modules.append(word)
        elif name == "--deployment":
            if not value and not words:
                raise InvalidArguments("--deployment needs a name: --deployment demo.")
            said[name] = value or words.pop(0)
        elif word in {"--add", "--dry-run"}:
            said[word] = True
        else:
            raise InvalidArguments(_unknown(word))
    if len(modules) != 1:
        raise InvalidArguments(_not_one(modules))
    deployment = said.get("--deployment")
    return Header(
        module_path(modules[0]),
        add="--add" in said,
        dry_run="--dry-run" in said,
        deployment=str(deployment) if deployment else None,
    )


def module_path(written: str) -> str:
    """A module's path as it was written: `tasks`, `admin/users`, `tasks.py`."""
    path = written.removesuffix(".py")
    if not MODULE.fullmatch(path):
        message = (
            f"{written!r} cannot name a module: letters, digits and `_`, folders with "
            "`/`, for instance tasks or admin/users."
        )
        raise InvalidArguments(message)
    return path


def _unknown(word: str) -> str:
    near = difflib.get_close_matches(word, FLAGS, 1, 0.5)
    meant = f" Is {near[0]} meant?" if near else ""
    return f"%%convex does not know {word}.{meant} It takes MODULE --add --dry-run --deployment NAME."


def _not_one(modules: list[str]) -> str:
    if not modules:
        return "A module's cell names its module: %%convex tasks."
    return f"A cell is one module, and this names {len(modules)}: {', '.join(modules)}."


# -- modules of several cells --------------------------------------------------


def replace_part(parts: Sequence[Part], part: Part) -> list[Part]:
    """The parts with this one in place of what its cell added before, or at the end (K2)."""
    names = part.names()

    def same(other: Part) -> bool:
        if part.key is not None and other.key is not None:
            return part.key == other.key
        return other.source == part.source or bool(names & other.names())

    replaced = [n for n, other in enumerate(parts) if same(other)]
    at = replaced[0] if replaced else len(parts)
    kept = [other for n, other in enumerate(parts) if n not in replaced]
    return [*kept[:at], part, *kept[at:]]


def module_source(parts: Sequence[Part]) -> str:
    """The parts as one module.

    A `from __future__ import` must stand first in a module, so the first part gets
    it for those that follow; no line moves.
    """
    sources = [part.source for part in parts]
    later = any(FUTURE.search(source) for source in sources[1:])
    sources[1:] = [
        FUTURE.sub(lambda found: f"# {found[0]}", source) for source in sources[1:]
    ]
    if later and not FUTURE.search(sources[0]):
        first, _, rest = sources[0].partition("\n")
        sources[0] = f"from __future__ import annotations  {first or '#'}\n{rest}"
    return "".join(sources)


def part_at(parts: Sequence[Part], line: int) -> tuple[Part, int] | None:
    """The part that a module's line belongs to, and the line within it."""
    for part in parts:
        count = part.source.count("\n")
        if line <= count:
            return part, line
        line -= count
    return None


def split_parts(source: str, keys: Sequence[str | None]) -> list[Part]:
    """A module's source back as its parts; one, where it was not made of several."""
    if len(keys) < 2:
        return [Part(source, keys[0] if keys else None)]
    heads = [n for n, line in enumerate(source.split("\n")) if "# %%convex " in line]
    if len(heads) != len(keys):
        return [Part(source)]
    lines = source.split("\n")
    # The blank lines above a header belong to its part.
    starts = [0, *(_with_blanks(lines, head) for head in heads[1:])]
    ends = [*starts[1:], len(lines)]
    return [
        Part("\n".join(lines[start:end]).rstrip("\n") + "\n", key)
        for start, end, key in zip(starts, ends, keys, strict=True)
    ]


def _with_blanks(lines: list[str], head: int) -> int:
    while head > 0 and not lines[head - 1].strip():
        head -= 1
    return head
