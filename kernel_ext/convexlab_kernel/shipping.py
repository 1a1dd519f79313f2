"""From notebook to backend: `%convex convert`, `%convex deploy`, `%convex login`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from convexlab.errors import NotAllowed, NotFound
from convexlab_kernel import cells, client, discovery, keys
from convexlab_kernel.comparing import digest, same
from convexlab_kernel.convert import convert as write
from convexlab_kernel.deploying import deploy_notebook, pushed
from convexlab_kernel.export import export_notebook
from convexlab_kernel.line import Text, asked
from convexlab_kernel.notebook import notebook_path
from convexlab_kernel.notebook_file import Cell, NotebookFile
from convexlab_kernel.options import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab_kernel.client import Database
    from convexlab_kernel.export import Export
    from convexlab_kernel.line import Line
    from convexlab_kernel.notebook import Notebook


def convert(line: Line) -> Text:
    """%convex convert [FOLDER] [--notebook FILE] [--force] [--no-format].

    Write this notebook's modules as files (convex/), and only what has changed.
    """
    options = Options(line.rest, values=("notebook",), flags=("force", "no-format"))
    folder = Path(options.one("a folder") if options.words else "convex").expanduser()
    export = _export(line, options)
    formatted = not options.flag("no-format")
    written = write(export, folder, force=options.flag("force"), formatted=formatted)
    return Text("\n".join([*_unsaved(line.notebook, export), str(written)]))


def deploy(line: Line) -> Text:
    """%convex deploy [NAME | URL] [--notebook FILE] [--dry-run | --check].

    Make this notebook's modules those of a deployment, all or none; asks for its key where none is known. --check: change nothing, and fail where the deployment runs other code.
    """
    options = Options(line.rest, values=("notebook",), flags=("dry-run", "check"))
    name = options.one("a deployment") if options.words else None
    database = _owned(line.notebook, name)
    export = _export(line, options, deployment=database.name)
    if options.flag("check"):
        modules = pushed(export)
        return Text(same(database, modules, notebook=export.notebook))
    dry_run = options.flag("dry-run")
    answer = deploy_notebook(database, export, dry_run=dry_run)
    done = "checked against" if dry_run else "→"
    paths = ", ".join(module.path for module in export.modules) or "no modules"
    said = f"{export.notebook}: {paths} {done} {database.name}"
    changed, code = ", ".join(answer.changed) or "nothing", digest(pushed(export))
    lines = [*_unsaved(line.notebook, export), f"{said} (new: {changed}): {code}"]
    return Text("\n".join(lines + [f"left out: {one}" for one in export.left_out]))


def login(line: Line) -> Text:
    """%convex login NAME [URL] | URL.

    Ask for a remote deployment's key and keep it for this user; with NAME and URL it has that name from here on.
    """
    words = Options(line.rest).words
    if not 1 <= len(words) <= 2:
        raise NotAllowed(
            "Say which deployment: %convex login demo https://demo.example.com."
        )
    name, url = (words[0], words[1]) if len(words) == 2 else (None, words[0])
    place = discovery.locate(url)
    if isinstance(place, Path):
        raise NotFound(
            f"`{url}` is not a remote deployment: say its address too, "
            f"%convex login {url} https://demo.example.com."
        )
    if name is not None:
        discovery.check_name(name, url)
    key = asked(f"Key of {place.url}: ", "set CONVEXLAB_ADMIN_KEY.")
    with client.connect(place.url, admin_key=key) as database:
        database.status()  # a key that does not fit is refused here, and not kept
    file = keys.keep(place.url, key)
    listed = discovery.enlist(name, url) if name is not None else None
    line.notebook.forget(name, url, place.name, place.url)
    said = f"Logged in at {place.url}; its key is in {file}"
    return Text(f"{said}\n`{name}` is its name in {listed}" if listed else said)


def _owned(notebook: Notebook, name: str | None) -> Database:
    """A deployment with its key, asked for where none is known."""
    database = notebook.database(name)
    if database.attachment.admin:
        return database
    key = asked(
        f"Key of {database.address.url}: ",
        f"%convex login {name or database.name}, or set CONVEXLAB_ADMIN_KEY.",
    )
    return notebook.connect(name, admin_key=key)


# -- which notebook ------------------------------------------------------------


def _export(line: Line, options: Options, *, deployment: str | None = None) -> Export:
    named = options.value("notebook")
    path = Path(named).expanduser() if named else notebook_path(line.namespace)
    file = NotebookFile.read(path) if path is not None else _as_it_ran(line.notebook)
    return export_notebook(file, deployment=deployment)


def _as_it_ran(notebook: Notebook) -> NotebookFile:
    """The cells that this kernel pushed, where it cannot tell which file they are in."""
    parts = [part for parts in notebook.pushed.values() for part in parts]
    if not parts:
        raise NotFound(
            "This kernel does not know its notebook's file, and has run no %%convex cell: "
            "say the file, --notebook FILE."
        )
    ran = tuple(
        Cell(part.cell or number, "code", part.source, part.key)
        for number, part in enumerate(parts, 1)
    )
    return NotebookFile(notebook.name or "notebook", ran)


def _unsaved(notebook: Notebook, export: Export) -> Iterator[str]:
    """Modules that ran otherwise than they are saved, or are not saved at all."""
    for path, parts in notebook.pushed.items():
        module = export.module(path)
        if module is None:
            yield f"Warning: `{path}` ran here, and is none of {export.notebook} as it is saved."
        elif cells.module_source(module.parts) != cells.module_source(parts):
            yield (
                f"Warning: `{path}` ran otherwise than it is saved in {export.notebook}: "
                "save the notebook, or run the cell again."
            )
