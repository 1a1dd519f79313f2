"""`convexlab export`: all data of one moment, in a ZIP as Convex writes it."""

from __future__ import annotations

from pathlib import Path

import click

from convexlab.cli.words import chosen, which_deployment
from convexlab_kernel import transferring


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--path",
    "said",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The same, as npx convex has it.",
)
@click.option(
    "--include-file-storage", "files", is_flag=True, help="With the stored files."
)
@which_deployment
def export(
    path: Path,
    *,
    said: Path | None,
    files: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Write all data to a ZIP at PATH, or in the folder PATH (here)."""
    database = chosen(deployment, url, admin_key)
    target = transferring.export_all(database, said or path, files=files)
    click.echo(f"{database.name} → {target}: {target.stat().st_size:,} bytes")
