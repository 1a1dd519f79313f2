"""`convexlab dev`: push a folder, and again whenever a file in it changes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convexlab.cli.codegen import GENERATED, write_types
from convexlab.cli.folder import is_module, modules_of
from convexlab.cli.words import chosen, explain, which_deployment
from convexlab.errors import ConvexlabError
from convexlab_kernel.pushing import push

if TYPE_CHECKING:
    from convexlab_kernel.client import Database


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("convex"))
@click.option("--once", is_flag=True, help="Push once, and end.")
@click.option(
    "--until-success",
    is_flag=True,
    help="Push whenever a file changes until all is well, and end.",
)
@which_deployment
def dev(
    folder: Path,
    *,
    once: bool,
    until_success: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Push FOLDER (convex/) to the local deployment, and keep it pushed.

    Modules that came from notebook cells stay as they are.
    """
    database = chosen(deployment, url, admin_key)
    click.echo(f"{database.name}: {database.url}")
    if once:
        click.echo(push_folder(database, folder))
        return
    is_pushed = _try(database, folder)
    if not (is_pushed and until_success):
        _follow(database, folder, until_success=until_success)


def push_folder(database: Database, folder: Path) -> str:
    """Push a folder's modules and take out those whose files are gone; what to say."""
    modules = modules_of(folder)
    here = {module["path"] for module in modules}
    home = str(folder.resolve())
    gone = [
        module.path
        for module in database.status().modules
        if module.path not in here
        and module.origin is not None
        and module.origin.kind == "file"
        and Path(module.origin.name).is_relative_to(home)
    ]
    answer = push(database, modules, remove=gone)
    lines = [f"warning: {warning}" for warning in answer.warnings]
    changed = ", ".join([*answer.changed, *(f"{path} (removed)" for path in gone)])
    if (folder / GENERATED).is_dir():
        lines += [f"types: {file}" for file in write_types(database, folder)]
    return "\n".join([*lines, f"pushed: {changed or 'nothing new'}"])


def _follow(database: Database, folder: Path, *, until_success: bool) -> None:
    from watchfiles import watch

    click.echo(f"watching {folder}/ (Ctrl-C ends)")
    home = folder.resolve()
    for changes in watch(home, raise_interrupt=False):
        files = [Path(file).relative_to(home) for _, file in changes]
        is_pushed = any(map(is_module, files)) and _try(database, folder)
        if is_pushed and until_success:
            return


def _try(database: Database, folder: Path) -> bool:
    """Push, and say whether it went well; the next change gets another try."""
    try:
        click.echo(push_folder(database, folder))
    except ConvexlabError as error:
        click.echo(explain(error), err=True)
        return False
    return True
