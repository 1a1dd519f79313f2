"""The notebook's side: which deployment it uses, which cells it pushed.

It knows only what this kernel did, and forgets it with the kernel; modules, data
and the outputs on the page go on without it.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from convexlab.errors import PushFailed
from convexlab_kernel import beside, cells, names
from convexlab_kernel.client import Database, connect
from convexlab_kernel.pushing import concerning, deployed, kept, push, said
from convexlab_kernel.tracebacks import CellLine, cell_number, present

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from IPython.core.interactiveshell import InteractiveShell

    from convexlab_kernel.cells import Header, Part
    from convexlab_kernel.pushing import PushAnswer
    from convexlab_kernel.status import ModuleStatus, Origin


class Notebook:
    """What this kernel knows.

    Args:
        shell: the IPython it runs in.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.target: str | None = None
        self._databases: dict[str | None, Database] = {}
        self._pushed: dict[str, list[Part]] = {}
        self._cell_id: str | None = None
        self._raw = ""

    # -- which deployment --------------------------------------------------------

    def database(self, target: str | None = None) -> Database:
        """The deployment that is meant: what is said, what is used, or the default."""
        target = target or self.target
        if target not in self._databases:
            self._databases[target] = connect(target)
        return self._databases[target]

    def connected(self, target: str | None = None) -> Database | None:
        """The same, if it has been meant before: nothing is looked for or started."""
        target = target or self.target
        named = (one for one in self._databases.values() if one.name == target)
        return self._databases.get(target) or next(named, None)

    def connect(self, target: str | None, *, admin_key: str) -> Database:
        """The deployment that is meant, with a key that was asked for."""
        target = target or self.target
        self.forget(target)
        self._databases[target] = connect(target, admin_key=admin_key)
        return self._databases[target]

    def forget(self, *targets: str | None) -> None:
        """Connect anew when these are meant: their address or key is another now."""
        for target in targets:
            database = self._databases.pop(target, None)
            if database is not None:
                database.close()

    def close(self) -> None:
        """Close the connections."""
        for database in self._databases.values():
            database.close()
        self._databases.clear()

    # -- what it pushed ----------------------------------------------------------

    @property
    def name(self) -> str:
        """What the notebook is called, as far as its kernel can tell."""
        return notebook_name(self.shell.user_ns)

    @property
    def pushed(self) -> dict[str, list[Part]]:
        """The modules that this kernel pushed, as their parts."""
        return dict(self._pushed)

    @property
    def variables(self) -> Mapping[str, object]:
        """The notebook's variables."""
        variables: dict[str, object] = self.shell.user_ns
        return variables

    @property
    def cell_id(self) -> str | None:
        """The id of the cell that runs, where the page tells it."""
        return self._cell_id

    # -- IPython tells of each cell ----------------------------------------------

    def before_cell(self, info: Any) -> None:
        """A cell is about to run."""
        self._raw = info.raw_cell or ""
        self._cell_id = getattr(info, "cell_id", None)

    def after_cell(self, result: Any) -> None:
        """A cell has run: say so where functions were defined and not pushed."""
        raw = getattr(result.info, "raw_cell", None) or ""
        if result.success and "@" in raw and not _is_module(raw):
            found = [
                n for n in _decorated(raw) if _is_function(self.shell.user_ns.get(n))
            ]
            if found:
                print(_not_pushed(found))  # noqa: T201 - the cell's output

    # -- pushing a cell ----------------------------------------------------------

    def push(self, header: Header, line: str, body: str) -> str:
        """Push a cell as a module; what to say about it."""
        database = self.database(header.deployment)
        database.attachment.need_admin("Pushing a module")
        before = database.status().module(header.module)
        part = self._part(line, body)
        parts = self._parts(database, header, part, before)
        warnings = self._replaced(database, header, parts, before)
        try:
            answer = self._send(database, header, parts)
        except _BrokenBeside as broken:
            print(f"Warning: {broken}")  # noqa: T201 - the cell's output
            parts = [part]
            answer = self._send(database, header, parts)
        if not header.dry_run:
            self._pushed[header.module] = parts
        warnings += concerning(header.module, answer.warnings)
        for warning in [*warnings, *self._unseen(parts)]:
            print(f"Warning: {warning}")  # noqa: T201 - the cell's output
        return said(header, database.name, answer, before)

    def _part(self, line: str, body: str) -> Part:
        above = cells.blank_lines_before(self._raw)
        source = cells.part_source(line, body, above=above)
        return cells.Part(source, self._cell_id, self.cell_number())

    def cell_number(self) -> int | None:
        """The number of the cell that runs: that of the frame which called the magic.

        N.B. `execution_count` is ahead by one inside a magic.
        """
        frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the only way to the calling cell
        while frame is not None:
            if frame.f_code.co_name == "<module>":
                number = cell_number(frame.f_code.co_filename)
                if number is not None:
                    return number
            frame = frame.f_back
        return None

    def _parts(
        self,
        database: Database,
        header: Header,
        part: Part,
        before: ModuleStatus | None,
    ) -> list[Part]:
        if not header.add and not self._came_from_here(before):
            return [part]
        known = self._pushed.get(header.module) or kept(database, header.module)
        if header.add:
            return cells.replace_part(known, part)
        assert before is not None, "it came from here"
        return beside.with_added(part, known, before, notebook_path(self.shell.user_ns))

    def _came_from_here(self, module: ModuleStatus | None) -> bool:
        """Whether cells of this notebook are the module; a terminal has none to keep."""
        origin = None if module is None else module.origin
        return (
            origin is not None
            and origin.kind == "cell"
            and origin.name == self.name != ""
        )

    def _send(
        self, database: Database, header: Header, parts: list[Part]
    ) -> PushAnswer:
        origin = {
            "kind": "cell",
            "name": notebook_name(self.shell.user_ns),
            "cell": parts[-1].cell,
            "parts": [part.key for part in parts],
        }
        file = notebook_path(self.shell.user_ns)
        if file is not None:  # the sidebar opens it
            origin["path"] = str(file)
        module = {
            "path": header.module,
            "source": cells.module_source(parts),
            "origin": origin,
        }
        try:
            return push(database, [module], dry_run=header.dry_run)
        except PushFailed as error:
            if not header.add and _is_beside(parts, error):
                raise _BrokenBeside.of(parts, header.module) from None
            finder = self._finder({header.module: parts})
            raise present(error, find_line=finder) from None

    def _replaced(
        self,
        database: Database,
        header: Header,
        parts: Sequence[Part],
        before: ModuleStatus | None,
    ) -> list[str]:
        """Whose module this takes the place of, where that is another one.

        It is not where the code is the same, nor where this notebook had another name.
        """
        origin = before.origin if before is not None else None
        if origin is None or header.add or header.dry_run:
            return []
        is_own = origin.kind == "cell" and origin.name == self.name
        if is_own or self._was_renamed(origin):
            return []
        module = deployed(database, header.module)
        source = "" if module is None else module.source or ""
        if _is_same_code(source, cells.module_source(parts)):
            return []
        return [f"this replaces the module `{header.module}` that came from {origin}."]

    def _was_renamed(self, origin: Origin) -> bool:
        """Whether a cell came from a notebook that was beside this one, and is not any more."""
        here = notebook_path(self.variables)
        there = None if origin.path is None else Path(origin.path)
        return (
            origin.kind == "cell"
            and here is not None
            and there is not None
            and there.parent == here.parent
            and not there.exists()
        )

    def _unseen(self, parts: list[Part]) -> Iterator[str]:
        """Variables of the notebook that the module uses, and will not find."""
        for one in names.unbound(cells.module_source(parts)):
            place = cells.part_at(parts, one.line)
            if one.name in self.variables and place is not None:
                value = self.variables[one.name]
                yield f"line {place[1]}: {names.explained(one.name, value)}"

    # -- what tracebacks ask -----------------------------------------------------

    def find_line(self, module: str, line: int) -> CellLine | None:
        """The cell's line that a module's line came from."""
        return self._finder({})(module, line)

    def _finder(
        self, attempted: dict[str, list[Part]]
    ) -> Callable[[str, int], CellLine | None]:
        modules = self._pushed | attempted

        def find(module: str, line: int) -> CellLine | None:
            found = cells.part_at(modules.get(module, []), line)
            if found is None:
                return None
            part, within = found
            return CellLine(part.cell, within, part.lines)

        return find


class _BrokenBeside(Exception):
    """What other cells have added does not work with this cell as it is now."""

    @classmethod
    def of(cls, parts: Sequence[Part], module: str) -> _BrokenBeside:
        names = ", ".join(sorted(name for part in parts[1:] for name in part.names()))
        return cls(
            f"what other cells add to `{module}` does not work with this one as it is "
            f"now: until they run again, {names} is not there."
        )


def _is_beside(parts: Sequence[Part], error: PushFailed) -> bool:
    """Whether it is not the cell that is pushed which is wrong."""
    place = None if error.line is None else cells.part_at(parts, error.line)
    return place is not None and place[0] is not parts[0]


def _is_same_code(one: str, other: str) -> bool:
    """Whether two modules differ in comments and blank lines at most, as in a cell's header."""
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except (SyntaxError, ValueError):
        return False


def notebook_name(namespace: Mapping[str, Any]) -> str:
    """What the notebook is called, as far as its kernel can tell."""
    return PurePath(_told(namespace)).name


def notebook_path(namespace: Mapping[str, Any]) -> Path | None:
    """The notebook's file, where its kernel can tell and the file is there."""
    told = _told(namespace)
    path = Path(told).absolute() if told else None
    return path if path is not None and path.is_file() else None


def _told(namespace: Mapping[str, Any]) -> str:
    """What VS Code, papermill (`--inject-input-path`) or Jupyter Server told the kernel."""
    said = (
        namespace.get("__vsc_ipynb_file__"),
        namespace.get("PAPERMILL_INPUT_PATH"),
        os.environ.get("JPY_SESSION_NAME"),
    )
    return next((str(one) for one in said if one), "")


def _is_module(raw: str) -> bool:
    first = next((line for line in raw.split("\n") if line.strip()), "")
    return cells.HEADER.match(first) is not None


def _decorated(raw: str) -> list[str]:
    try:
        tree = ast.parse(raw)
    except SyntaxError:
        return []
    return [
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.decorator_list
    ]


def _is_function(value: object) -> bool:
    return type(value).__module__.startswith("convexlab.functions")


def _not_pushed(names: list[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    return (
        f"Not pushed: {listed}. A cell is pushed when its first line is `%%convex MODULE` "
        "or `# %%convex MODULE`."
    )
