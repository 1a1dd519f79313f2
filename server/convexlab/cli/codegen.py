"""`convexlab codegen`: types of the functions and tables, for a TypeScript front end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convexlab.cli.function_spec import spec_of
from convexlab.cli.typescript import generated
from convexlab.cli.words import chosen, which_deployment

if TYPE_CHECKING:
    from convexlab_kernel.client import Database

GENERATED = "_generated"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("convex"))
@click.option("--dry-run", is_flag=True, help="Say what would change.")
@which_deployment
def codegen(
    folder: Path,
    *,
    dry_run: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Write FOLDER/_generated (convex/_generated) from what a deployment runs.

    A front end imports `api` from it, and `Doc` and `Id`; `convexlab dev` keeps it
    fresh once it is there.
    """
    database = chosen(deployment, url, admin_key)
    changed = write_types(database, folder, dry_run=dry_run)
    done = "would change" if dry_run else "written"
    click.echo(f"{done}: {', '.join(changed) or 'nothing, all is fresh'}")


def write_types(
    database: Database, folder: Path, *, dry_run: bool = False
) -> list[str]:
    """Write the files that are not as they should be; their names."""
    home = folder / GENERATED
    changed = []
    for name, text in generated(spec_of(database)).items():
        file = home / name
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        changed.append(str(file))
        if not dry_run:
            home.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return changed
