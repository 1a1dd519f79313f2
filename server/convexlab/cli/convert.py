"""`convexlab convert`: a notebook's modules as files of a functions folder."""

from __future__ import annotations

from pathlib import Path

import click

from convexlab_kernel.convert import convert as write
from convexlab_kernel.export import export_notebook
from convexlab_kernel.notebook_file import NotebookFile


@click.command()
@click.argument("notebook", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("convex"),
    show_default=True,
    help="The functions folder.",
)
@click.option("--force", is_flag=True, help="Also over files that were edited.")
@click.option("--no-format", is_flag=True, help="Leave the code as it is in the cells.")
def convert(notebook: Path, folder: Path, *, force: bool, no_format: bool) -> None:
    """Write each module of NOTEBOOK as a file, and only what has changed.

    Cells with the tag `convexlab-skip`, or with a line `# convexlab: skip`, stay in
    the notebook.
    """
    export = export_notebook(NotebookFile.read(notebook))
    written = write(export, folder, force=force, formatted=not no_format)
    click.echo(str(written))
