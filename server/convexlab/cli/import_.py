"""`convexlab import`: a file's rows into a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convexlab.cli.words import chosen, which_deployment
from convexlab_kernel import importing

if TYPE_CHECKING:
    from convexlab_kernel.importing import Mode


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--table", required=True, metavar="TABLE", help="Where the rows go.")
@click.option("--append", is_flag=True, help="Add to the documents there are.")
@click.option("--replace", is_flag=True, help="Delete the documents there are first.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonLines", "jsonArray"]),
    help="Where the suffix does not say it.",
)
@click.option("-y", "--yes", is_flag=True, help="Ask nothing.")
@which_deployment
def import_(
    file: Path,
    *,
    table: str,
    append: bool,
    replace: bool,
    form: str | None,
    yes: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Import a .csv, .json or .jsonl FILE; the table must be empty unless said."""
    if append and replace:
        raise click.UsageError("--append adds and --replace deletes first: say one.")
    mode: Mode = "append" if append else "replace" if replace else "requireEmpty"
    database = chosen(deployment, url, admin_key)
    if replace and not yes:
        click.confirm(
            f"Delete the documents of `{table}` in {database.name} first?", abort=True
        )
    with importing.bar(table) as bar:
        batches = importing.file_batches(file, form)
        count = importing.insert(
            database.attachment, table, batches, mode=mode, progress=bar
        )
    click.echo(f"{file.name} → {table}: {count:,} documents")
