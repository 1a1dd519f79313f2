"""`convexlab init`: a functions folder to begin with, and never over one that is there.

Invariants
    I1  A folder that has modules is left as it is.
    I2  All that is said to be made is made, or nothing is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import click

from convexlab.cli.folder import module_files
from convexlab.errors import NotAllowed
from convexlab_kernel.discovery import project_of
from convexlab_kernel.starting import HOME

FUNCTIONS: Final = "convex"

# The first guide's example; `tests/cli/test_init.py` says so.
EXAMPLE: Final = {
    "schema.py": '''"""The tables: what their documents hold, and by what they are found."""

from convexlab import define_schema, define_table, v

schema = define_schema(
    {
        "tasks": define_table(
            {
                "text": v.string(),
                "done": v.boolean(),
                "owner": v.optional(v.string()),
            }
        ).index("by_owner", ["owner", "done"]),
    }
)
''',
    "tasks.py": '''"""Tasks: `tasks:mine`, `tasks:create` and `tasks:finish`."""

from convexlab import ConvexError, Doc, Id, MutationCtx, QueryCtx, mutation, query


@query
def mine(ctx: QueryCtx, owner: str) -> list[Doc]:
    return ctx.db.query("tasks").with_index("by_owner", owner=owner).collect()


@mutation
def create(ctx: MutationCtx, text: str, owner: str | None = None) -> Id.tasks:
    if not text.strip():
        raise ConvexError("a task needs a text")
    task = {"text": text, "done": False}
    return ctx.db.insert("tasks", task if owner is None else {**task, "owner": owner})


@mutation
def finish(ctx: MutationCtx, taskId: Id.tasks):
    ctx.db.patch(taskId, {"done": True})
''',
}


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), default=Path()
)
def init(folder: Path) -> None:
    """Begin a project in FOLDER (this one): convex/ with a schema and functions.

    A convex/ that has modules stays as it is.
    """
    functions = folder / FUNCTIONS
    _refuse_modules(functions)
    with contextlib.ExitStack() as undo:
        try:
            _make_folders(functions, undo)
            made = [
                _make(functions / name, text, undo) for name, text in EXAMPLE.items()
            ]
            made += _ignore(project_of(folder.resolve()))
        except OSError as error:
            message = f"{functions}/ cannot be made: {error}. Nothing was written."
            raise NotAllowed(message) from None
        undo.pop_all()
    click.echo(_what_next(folder, made))


def _refuse_modules(functions: Path) -> None:
    """I1."""
    found = list(module_files(functions))
    if found:
        names = ", ".join(str(file.relative_to(functions)) for file in found)
        message = (
            f"{functions}/ has modules already ({names}): nothing was written. "
            "`convexlab dev` pushes them; to begin anew, name another folder."
        )
        raise NotAllowed(message)


def _make_folders(functions: Path, undo: contextlib.ExitStack) -> None:
    missing = [one for one in (functions, *functions.parents) if not one.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        undo.callback(folder.rmdir)


def _make(file: Path, text: str, undo: contextlib.ExitStack) -> Path:
    with file.open("x", encoding="utf-8") as opened:
        undo.callback(file.unlink)
        opened.write(text)
    return file


def _ignore(project: Path) -> list[Path]:
    """Have git leave the deployment's folder alone; what was written for it."""
    if _is_ignored(project):
        return []
    file = project / ".gitignore"
    before = file.read_bytes() if file.exists() else b""
    end = b"" if not before or before.endswith(b"\n") else b"\n"
    with file.open("ab") as opened:
        opened.write(end + f"{HOME}/\n".encode())
    return [file]


def _is_ignored(project: Path) -> bool:
    """Whether git looks away, or there is no git."""
    git = shutil.which("git")
    if git is None:
        return True
    asked = subprocess.run(  # noqa: S603 - git, with words of our own
        [git, "check-ignore", "--quiet", f"{HOME}/"],
        cwd=project,
        capture_output=True,
        check=False,
    )
    return asked.returncode != 1  # 0: it is ignored; 128: this is no repository


def _what_next(folder: Path, made: list[Path]) -> str:
    names = ", ".join(os.path.relpath(file) for file in made)
    lines = [f"made: {names}", "next:"]
    if folder.resolve() != Path.cwd():
        lines.append(f"  cd {folder}")
    lines += [
        "  convexlab dev         push convex/, and again whenever a file changes",
        """  convexlab run tasks:create '{"text": "write a query", "owner": "ann"}'""",
        """  convexlab run tasks:mine '{"owner": "ann"}'""",
    ]
    return "\n".join(lines)
