"""A notebook's modules as files: every `%%convex` cell, readable without the notebook.

    export = export_notebook(NotebookFile.read(path))
    export.modules[0].path, .text, .parts

A module's file has the text above its cell as its docstring, and the cells that
`--add` to it one after another, their imports said once. Pure: nothing here writes.

Invariants
    X1  What cannot be exported is refused, all of it at once, each by its cell and
        line; nothing is left out silently.
    X2  A module's parts are what running its cells pushes: `cells.module_source` of
        them is the same text.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convexlab.errors import InvalidArguments, PushFailed
from convexlab_kernel import cells, names
from convexlab_kernel.cells import HEADER, Part
from convexlab_kernel.imports import Name, merged, split_imports
from convexlab_kernel.prose import comment, docstring

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convexlab_kernel.cells import Header
    from convexlab_kernel.notebook_file import Cell, NotebookFile

DECORATORS = {"query", "mutation", "action", "http_action"}
DECORATORS |= {f"internal_{name}" for name in DECORATORS}


@dataclass(frozen=True, slots=True)
class Source:
    """A cell that is a module, or a part of one.

    Args:
        cell: where it is.
        part: as running it pushes it.
        prose: the text right above it.
    """

    cell: Cell
    part: Part
    prose: str

    @property
    def body(self) -> str:
        """The cell without its `%%convex` line."""
        lines = self.part.source.split("\n")
        first = next(n for n, line in enumerate(lines) if line.strip())
        return "\n".join(lines[first + 1 :]).strip("\n")


@dataclass(frozen=True, slots=True)
class Module:
    """A module that a notebook defines.

    Args:
        path: as in function paths: `admin/users`.
        sources: its cells, in the notebook's order.
    """

    path: str
    sources: tuple[Source, ...]

    @property
    def parts(self) -> list[Part]:
        """Its parts, as running the cells pushes them (X2)."""
        return [source.part for source in self.sources]

    @property
    def text(self) -> str:
        """The module as a file."""
        if len(self.sources) == 1:
            return _one(self.sources[0])
        return _several(self.sources)

    def bound(self) -> set[str]:
        """The names that it binds at its top level."""
        return set().union(*(names.bound(source.body) for source in self.sources))


@dataclass(frozen=True, slots=True)
class Export:
    """A notebook's modules.

    Args:
        notebook: the file's name.
        modules: in the order of their first cells.
        left_out: sentences on cells that look like modules and stay behind.
    """

    notebook: str
    modules: list[Module] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def module(self, path: str) -> Module | None:
        """The module of this path."""
        return next((one for one in self.modules if one.path == path), None)


def export_notebook(notebook: NotebookFile, *, deployment: str | None = None) -> Export:
    """The modules of a notebook.

    Args:
        notebook: as it is saved.
        deployment: cells that name this deployment belong to it too.

    Raises:
        PushFailed: some cells cannot be exported; the message has a line for each.
    """
    export = Export(notebook.name)
    wrong: list[str] = []
    found: dict[str, list[tuple[Header, Source]]] = {}
    for cell in notebook.cells:
        try:
            header = cell.header
        except InvalidArguments as error:
            wrong.append(f"{cell}: {error}")
            continue
        reason = _left_out(cell, header, deployment)
        if reason is not None:
            export.left_out.append(reason)
        elif header is not None:
            source = Source(cell, _part(cell), _prose(notebook, cell))
            found.setdefault(header.module, []).append((header, source))
    for path, pieces in found.items():
        module = Module(path, tuple(source for _, source in pieces))
        export.modules.append(module)
        wrong += _wrong(pieces, module, notebook)
    wrong += [line for module in export.modules for line in _unresolved(module, export)]
    if wrong:
        raise PushFailed(f"{notebook.name} cannot be exported:\n" + "\n".join(wrong))
    return export


def _part(cell: Cell) -> Part:
    text = cell.text
    above = cells.blank_lines_before(text)
    _, _, body = text.split("\n", above)[above].partition("\n")
    found = HEADER.match(cell.head)
    assert found is not None, cell
    return Part(cells.part_source(found["line"], body, above=above), cell.key)


def _prose(notebook: NotebookFile, cell: Cell) -> str:
    return "\n\n".join(one.text.strip() for one in notebook.above(cell)).strip()


def _left_out(cell: Cell, header: Header | None, deployment: str | None) -> str | None:
    """Why a cell that looks like a module's is none of the export."""
    if cell.kind != "code":
        return None
    if header is None:
        defined = list(_functions(cell.text))
        names_ = ", ".join(f"`{name}`" for name in defined)
        return f"{cell}: {names_} without a %%convex line" if defined else None
    if cell.skip:
        return f"{cell}: marked to stay here"
    if header.dry_run:
        return f"{cell}: --dry-run"
    if header.deployment not in {None, deployment}:
        return f"{cell}: for the deployment `{header.deployment}`"
    return None


# -- what cannot be exported (X1) ----------------------------------------------


def _wrong(
    pieces: Sequence[tuple[Header, Source]], module: Module, notebook: NotebookFile
) -> Iterator[str]:
    first = pieces[0][1].cell
    for header, source in pieces[1:]:
        if not header.add:
            yield (
                f"{source.cell}: it replaces what {first} defines. Write --add for a part "
                "of the same module, or leave one out with the tag `convexlab-skip`."
            )
            return
    broken = list(_broken(module))
    if broken:
        yield from broken
        return
    yield from _defined_twice(module)
    yield from _undefined(module, notebook)


def _broken(module: Module) -> Iterator[str]:
    for source in module.sources:
        try:
            compile(source.part.source, "<cell>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            said = getattr(error, "msg", None) or error
            yield f"{source.cell}, line {line}: {said}"


def _defined_twice(module: Module) -> Iterator[str]:
    """One file has one of each name; of two cells the one that ran last would win."""
    homes: dict[str, Cell] = {}
    imported: dict[str, tuple[Cell, Name]] = {}
    for source in module.sources:
        for name in sorted(source.part.names()):
            before = homes.setdefault(name, source.cell)
            if before is not source.cell:
                yield f"{source.cell}: it defines `{name}`, and so does {before}."
        for one in split_imports(source.body).names:
            cell, other = imported.setdefault(one.bound, (source.cell, one))
            if other.key != one.key:
                yield (
                    f"{source.cell}: `{one.bound}` is another one than that which {cell} "
                    "imports; call one of them otherwise, with `as`."
                )


def _undefined(module: Module, notebook: NotebookFile) -> Iterator[str]:
    parts = module.parts
    for one in names.unbound(cells.module_source(parts)):
        place = cells.part_at(parts, one.line)
        if place is None:  # it is made of these parts
            continue
        at = module.sources[parts.index(place[0])].cell
        home = _home(one.name, notebook)
        meant = (
            f" {home} has it in the kernel, which a module does not see: pass it as an "
            "argument, or define it in this cell."
            if home is not None
            else ""
        )
        yield f"{at}, line {place[1]}: `{one.name}` is not defined.{meant}"


def _home(name: str, notebook: NotebookFile) -> Cell | None:
    """The cell that gives the kernel a variable."""
    for cell in notebook.cells:
        if cell.kind != "code" or HEADER.match(cell.head):
            continue
        try:
            if name in names.bound(cell.text):
                return cell
        except (SyntaxError, ValueError):  # magics, shell lines
            continue
    return None


def _unresolved(module: Module, export: Export) -> Iterator[str]:
    """Names that another module of the notebook has not."""
    for source in module.sources:
        try:
            found = split_imports(source.body).names
        except SyntaxError:
            continue  # said already
        for one in found:
            other = export.module(target(module.path, one) or "")
            if other is None or not one.module.strip(".") or _is_broken(other):
                continue
            if one.name not in {"*", *other.bound()}:
                yield f"{source.cell}: there is no `{one.name}` in `{other.path}`."


def target(path: str, one: Name) -> str | None:
    """The module that a relative import in the module `path` means."""
    dots = len(one.module) - len(one.module.lstrip("."))
    if not dots:
        return None
    folders = path.split("/")[:-1]
    kept = folders[: len(folders) - (dots - 1)]
    tail = one.module[dots:] or one.name or ""
    return "/".join([*kept, *tail.split(".")])


def _is_broken(module: Module) -> bool:
    return any(True for _ in _broken(module))


def _functions(text: str) -> Iterator[str]:
    """The names that a cell decorates as functions of ours."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            _decorator(one) in DECORATORS for one in node.decorator_list
        ):
            yield node.name


def _decorator(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


# -- the text ------------------------------------------------------------------


def _one(source: Source) -> str:
    head = "" if _has_docstring(source.body) else docstring(source.prose)
    return "\n".join(filter(None, [head, source.body])).rstrip() + "\n"


def _several(sources: Sequence[Source]) -> str:
    splits = [split_imports(source.body) for source in sources]
    first = splits[0].body
    said = _has_docstring(first)
    head = docstring(sources[0].prose)
    if said:
        head, first = _cut_docstring(first)
    imports = merged([name for split in splits for name in split.names])
    blocks = [first] + [
        comment(source.prose) + ("\n" if source.prose else "") + split.body
        for source, split in zip(sources[1:], splits[1:], strict=True)
    ]
    bodies = [block.strip("\n") for block in blocks if block.strip()]
    top = "\n".join(filter(None, [head, imports + "\n" if imports else ""]))
    return "\n\n".join(filter(None, [top, "\n\n\n".join(bodies)])).rstrip() + "\n"


def _has_docstring(body: str) -> bool:
    return ast.get_docstring(ast.parse(body), clean=False) is not None


def _cut_docstring(body: str) -> tuple[str, str]:
    end = ast.parse(body).body[0].end_lineno or 1
    lines = body.split("\n")
    return "\n".join(lines[:end]) + "\n", "\n".join(lines[end:])
