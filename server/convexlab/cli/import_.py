"""`convexlab import`: a file's rows into a table, or a ZIP of everything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convexlab.cli.words import chosen, which_deployment
from convexlab_kernel.transferring import Source, import_file

if TYPE_CHECKING:
    from convexlab_kernel.transferring import Mode


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--table", metavar="TABLE", help="Where the rows go; a ZIP says it.")
@click.option("--append", is_flag=True, help="Add to the documents there are.")
@click.option("--replace", is_flag=True, help="Delete the documents there are first.")
@click.option(
    "--replace-all",
    is_flag=True,
    help="As --replace, and delete those of all other tables too.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["zip", "csv", "jsonLines", "jsonArray"]),
    help="Where the suffix does not say it.",
)
@click.option("-y", "--yes", is_flag=True, help="Ask nothing.")
@which_deployment
def import_(
    file: Path,
    *,
    table: str | None,
    append: bool,
    replace: bool,
    replace_all: bool,
    form: str | None,
    yes: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Import a .zip, .csv, .json or .jsonl FILE; its tables must be empty unless said."""
    if append + replace + replace_all > 1:
        raise click.UsageError("--append, --replace or --replace-all: say one.")
    source = Source.of(file, table, form)
    database = chosen(deployment, url, admin_key)

    def confirm(what: str) -> bool:
        if yes:
            return True
        click.echo(what, err=True)
        return click.confirm(f"Do this in {database.name}?", abort=True)

    def tell(progress: str) -> None:
        click.echo(progress, err=True)

    mode: Mode = "append" if append else "replace" if replace else "requireEmpty"
    if replace_all:
        mode = "replaceAll"
    count = import_file(database, source, mode=mode, confirm=confirm, tell=tell)
    click.echo(f"{file.name} → {table or database.name}: {count:,} documents")
