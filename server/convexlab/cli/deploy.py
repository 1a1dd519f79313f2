"""`convexlab deploy`: a folder, or a notebook, becomes what a deployment runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convexlab.cli.folder import modules_of
from convexlab.cli.words import chosen, which_deployment
from convexlab_kernel.deploying import deploy as push_all, deploy_notebook
from convexlab_kernel.export import export_notebook
from convexlab_kernel.notebook_file import NotebookFile

if TYPE_CHECKING:
    from convexlab_kernel.client import Database
    from convexlab_kernel.notebook import PushAnswer


@click.command()
@click.argument("source", type=click.Path(path_type=Path), default=Path("convex"))
@click.option("--dry-run", is_flag=True, help="Check only.")
@which_deployment
def deploy(
    source: Path,
    *,
    dry_run: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Deploy SOURCE: a functions folder (convex/), or a notebook.

    A folder replaces all of the deployment's modules; a notebook replaces its own, and
    those of other notebooks and of files stay.
    """
    database = chosen(deployment, url, admin_key)
    if source.suffix == ".ipynb":
        answer = _notebook(database, source, dry_run=dry_run)
    else:
        modules = modules_of(source)
        answer = push_all(database, modules, mode="replace_all", dry_run=dry_run)
    done = "checked" if dry_run else "deployed"
    click.echo(f"{done}: {len(answer.functions)} functions to {database.name}")


def _notebook(database: Database, file: Path, *, dry_run: bool) -> PushAnswer:
    export = export_notebook(NotebookFile.read(file), deployment=database.name)
    for one in export.left_out:
        click.echo(f"left out: {one}", err=True)
    return deploy_notebook(database, export, dry_run=dry_run)
