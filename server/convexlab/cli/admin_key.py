"""`convexlab admin-key`: the key that opens a deployment of this machine."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from convexlab.errors import NotFound


class Keys(msgspec.Struct, frozen=True):
    """What `keys.json` holds that a key is made of."""

    instance: str
    admin: str


@click.command("admin-key")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".convexlab/local"),
    show_default=True,
    help="The deployment's folder.",
)
def admin_key(folder: Path) -> None:
    """Print a deployment's key, running or not: whoever has it may do everything."""
    file = folder / "keys.json"
    if not file.is_file():
        message = f"{folder} is not a deployment's folder yet: `convexlab serve --dir {folder}` makes it one."
        raise NotFound(message)
    keys = msgspec.json.decode(file.read_bytes(), type=Keys)
    click.echo(f"{keys.instance}|{keys.admin}")
