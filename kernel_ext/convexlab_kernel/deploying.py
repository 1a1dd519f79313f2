"""Notebooks deployed: their modules pushed together, with where each came from.

What is pushed is what running the cells pushes, letter for letter, so a notebook that
was deployed and then run changes nothing. A module remembers its notebook, its cell
and, by the push, its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.errors import PushFailed
from convexlab_kernel import cells
from convexlab_kernel.pushing import push

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab_kernel.client import Database
    from convexlab_kernel.export import Export, Module
    from convexlab_kernel.pushing import PushAnswer


def deploy_notebook(
    database: Database, export: Export, *, dry_run: bool = False
) -> PushAnswer:
    """Make a notebook's modules those of a deployment, all or none.

    Modules of other notebooks and of files stay; those that this notebook had before
    and has no longer go.

    Raises:
        PushFailed: by cell and line.
    """
    here = {module.path for module in export.modules}
    gone = [
        module.path
        for module in database.status().modules
        if module.path not in here
        and module.origin is not None
        and module.origin.kind == "cell"
        and module.origin.name == export.notebook
    ]
    try:
        return deploy(database, pushed(export), remove=gone, dry_run=dry_run)
    except PushFailed as error:
        raise located(error, export) from None


def deploy(
    database: Database,
    modules: Sequence[dict[str, Any]],
    *,
    mode: str = "merge",
    remove: Sequence[str] = (),
    dry_run: bool = False,
) -> PushAnswer:
    """Push modules that must be whole: a reference to nothing is refused.

    Raises:
        PushFailed: by module and line.
    """
    checked = push(database, modules, mode=mode, remove=remove, dry_run=True)
    if checked.warnings:
        raise PushFailed("\n".join(checked.warnings))
    if dry_run:
        return checked
    return push(database, modules, mode=mode, remove=remove)


def located(error: PushFailed, export: Export) -> PushFailed:
    """A refusal that names the notebook's cell and the line in it."""
    module = export.module(error.path or "")
    if module is None or error.line is None:
        return error
    place = cells.part_at(module.parts, error.line)
    if place is None:
        return error
    cell = module.sources[module.parts.index(place[0])].cell
    return PushFailed(f"{export.notebook}, {cell}, line {place[1]}: {error}")


def pushed(export: Export) -> list[dict[str, Any]]:
    """A notebook's modules as a push takes them."""
    return [_pushed(export, module) for module in export.modules]


def _pushed(export: Export, module: Module) -> dict[str, Any]:
    return {
        "path": module.path,
        "source": cells.module_source(module.parts),
        "origin": {
            "kind": "cell",
            "name": export.notebook,
            "position": module.sources[-1].cell.number,
            "parts": [part.key for part in module.parts],
        },
    }
