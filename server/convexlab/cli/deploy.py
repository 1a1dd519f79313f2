"""`convexlab deploy`: a folder is the deployment's functions, all of them."""

from __future__ import annotations

from pathlib import Path

import click

from convexlab.cli.folder import modules_of
from convexlab.cli.words import chosen, which_deployment
from convexlab_kernel.notebook import push


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("convex"))
@click.option("--dry-run", is_flag=True, help="Check only.")
@which_deployment
def deploy(
    folder: Path,
    *,
    dry_run: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Replace the deployment's modules by those of FOLDER (convex/)."""
    database = chosen(deployment, url, admin_key)
    answer = push(database, modules_of(folder), mode="replace_all", dry_run=dry_run)
    for warning in answer.warnings:
        click.echo(f"warning: {warning}", err=True)
    done = "checked" if dry_run else "deployed"
    click.echo(f"{done}: {len(answer.functions)} functions to {database.name}")
