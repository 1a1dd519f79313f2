"""A notebook's file: its cells, numbered as people count them.

    notebook = NotebookFile.read(Path("flights.ipynb"))
    for cell in notebook.modules: ...

Invariants
    N1  A cell's number is its place among all cells, text and code, from 1: it is the
        same whether the notebook has run or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.errors import InvalidArguments, NotFound
from convexlab_kernel import cells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convexlab_kernel.cells import Header

SKIP_TAG = "convexlab-skip"
SKIP_MARK = re.compile(r"^\s*#\s*convexlab:\s*skip\s*$", re.MULTILINE)


class RawCell(msgspec.Struct, frozen=True):
    """A cell as the file has it; a text is one string or its lines."""

    cell_type: str
    source: str | list[str] = ""
    id: str | None = None
    metadata: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The whole source."""
        return self.source if isinstance(self.source, str) else "".join(self.source)


class RawNotebook(msgspec.Struct, frozen=True):
    """The part of the format that is read here."""

    cells: list[RawCell]
    nbformat: int = 4


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Args:
        number: its place (N1).
        kind: `code`, `markdown` or `raw`.
        text: its source.
        key: its id, where the file has ids.
        skip: whether it is tagged or marked as staying in the notebook.
    """

    number: int
    kind: str
    text: str
    key: str | None = None
    skip: bool = False

    @property
    def head(self) -> str:
        """Its first line that is not blank."""
        lines = (line.strip() for line in self.text.split("\n"))
        return next((line for line in lines if line), "")

    @property
    def header(self) -> Header | None:
        """What its `%%convex` line says; None for a cell that has none.

        Raises:
            InvalidArguments: it cannot be read.
        """
        found = cells.HEADER.match(self.head) if self.kind == "code" else None
        return cells.parse_header(found["line"]) if found else None

    def __str__(self) -> str:
        return f"cell {self.number} (`{self.head}`)"


@dataclass(frozen=True, slots=True)
class NotebookFile:
    """A notebook as it is saved.

    Args:
        name: the file's name.
        cells: all its cells.
    """

    name: str
    cells: tuple[Cell, ...]

    @classmethod
    def read(cls, path: Path) -> NotebookFile:
        """Read a file.

        Raises:
            NotFound: there is no such file.
            InvalidArguments: it is no notebook, or one of format 3 or older.
        """
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise NotFound(f"There is no notebook {path}.") from None
        return cls(path.name, tuple(_cells(path.name, raw)))

    def above(self, cell: Cell) -> list[Cell]:
        """The text cells right above a cell, topmost first."""
        found: list[Cell] = []
        for other in reversed(self.cells[: cell.number - 1]):
            if other.kind != "markdown":
                break
            found.insert(0, other)
        return found


def _cells(name: str, raw: bytes) -> Iterator[Cell]:
    try:
        notebook = msgspec.json.decode(raw, type=RawNotebook)
    except msgspec.MsgspecError as error:
        raise InvalidArguments(f"{name} is not a notebook: {error}.") from None
    if notebook.nbformat < 4:
        message = (
            f"{name} has the notebook format {notebook.nbformat}; open and save it in "
            "JupyterLab, which writes format 4."
        )
        raise InvalidArguments(message)
    for number, cell in enumerate(notebook.cells, 1):
        tags = cell.metadata.get("tags") or ()
        skip = SKIP_TAG in tags or bool(SKIP_MARK.search(cell.text))
        yield Cell(number, cell.cell_type, cell.text, cell.id, skip)
