"""`convexlab function-spec`: all functions with their validators, as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from convexlab.cli.typescript import Spec
from convexlab.cli.words import chosen, which_deployment

if TYPE_CHECKING:
    from convexlab_kernel.client import Database


def spec_of(database: Database) -> Spec:
    """What a deployment's functions and tables are."""
    found = database.attachment.get("/api/convexlab/spec", Spec)
    assert isinstance(found, Spec), found
    return found


@click.command("function-spec")
@click.option(
    "--file", "to_file", is_flag=True, help="Write function_spec_<time>.json instead."
)
@which_deployment
def function_spec(
    *,
    to_file: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Print the functions of a deployment, with what they take and return."""
    database = chosen(deployment, url, admin_key)
    said = {"url": database.url, "functions": spec_of(database).functions}
    text = json.dumps(msgspec.to_builtins(said), indent=2, ensure_ascii=False)
    if not to_file:
        click.echo(text)
        return
    file = Path(f"function_spec_{time.time_ns() // 1_000_000}.json")
    file.write_text(f"{text}\n", encoding="utf-8")
    click.echo(f"written: {file}", err=True)
