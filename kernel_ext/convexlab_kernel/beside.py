"""Beside: what other cells of a notebook add to a module that a cell of it is.

A notebook that is run from its top runs `%%convex tasks` before the cells that `--add`
to it. What these have deployed stays meanwhile: nobody who calls it finds it gone until
they have run again. It goes when its cell does, as far as the saved notebook tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.errors import ConvexlabError
from convexlab_kernel import cells
from convexlab_kernel.notebook_file import NotebookFile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from convexlab_kernel.cells import Part
    from convexlab_kernel.status import ModuleStatus


def with_added(
    part: Part, known: Sequence[Part], module: ModuleStatus, file: Path | None
) -> list[Part]:
    """A cell's part, and behind it those that other cells have added.

    Args:
        part: the cell that is the module.
        known: the parts that the module has.
        module: as it is deployed.
        file: the notebook, where the kernel can tell.
    """
    there = _cells_in(file, since_ms=module.pushed_ms)
    others = [
        other
        for other in cells.replace_part(known, part)
        if other is not part and _adds(other, module.path)
    ]
    if there is not None:
        others = [other for other in others if other.key is None or other.key in there]
    return [part, *others]


def _adds(part: Part, module: str) -> bool:
    """Whether a part says so itself, on its first line that is not blank."""
    first = next((line for line in part.lines if line.strip()), "")
    found = cells.HEADER.match(first)
    if found is None:
        return False
    header = cells.parse_header(found["line"].strip())
    return header.add and header.module == module


def _cells_in(file: Path | None, *, since_ms: float | None) -> set[str] | None:
    """The ids of a notebook's cells; None: it was not saved since, so nobody knows."""
    try:
        if file is None or since_ms is None or file.stat().st_mtime * 1e3 < since_ms:
            return None
        return {cell.key for cell in NotebookFile.read(file).cells if cell.key}
    except (OSError, ConvexlabError):
        return None
