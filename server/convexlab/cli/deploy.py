"""`convexlab deploy`: a folder, or a notebook, becomes what a deployment runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convexlab.cli.folder import modules_of
from convexlab.cli.words import chosen, which_deployment
from convexlab_kernel.comparing import digest, same
from convexlab_kernel.deploying import deploy as push_all, deploy_notebook, pushed
from convexlab_kernel.export import export_notebook
from convexlab_kernel.notebook_file import NotebookFile

if TYPE_CHECKING:
    from convexlab_kernel.client import Database
    from convexlab_kernel.export import Export


@click.command()
@click.argument("source", type=click.Path(path_type=Path), default=Path("convex"))
@click.option("--dry-run", is_flag=True, help="Say whether it could be deployed.")
@click.option("--check", is_flag=True, help="Fail where other code is deployed.")
@which_deployment
def deploy(
    source: Path,
    *,
    dry_run: bool,
    check: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Deploy SOURCE: a functions folder (convex/), or a notebook.

    A folder replaces all of the deployment's modules; a notebook replaces its own, and
    those of other notebooks and of files stay.
    """
    database = chosen(deployment, url, admin_key)
    export = _export(database, source) if source.suffix == ".ipynb" else None
    modules = modules_of(source) if export is None else pushed(export)
    if check:
        notebook = None if export is None else export.notebook
        click.echo(same(database, modules, notebook=notebook))
        return
    if export is None:
        answer = push_all(database, modules, mode="replace_all", dry_run=dry_run)
    else:
        answer = deploy_notebook(database, export, dry_run=dry_run)
    done = "checked" if dry_run else "deployed"
    count, code = len(answer.functions), digest(modules)
    click.echo(f"{done}: {count} functions to {database.name}, {code}")


def _export(database: Database, file: Path) -> Export:
    export = export_notebook(NotebookFile.read(file), deployment=database.name)
    for one in export.left_out:
        click.echo(f"left out: {one}", err=True)
    return export
