"""`convexlab env`: the variables that actions find in `os.environ`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convexlab.cli.words import chosen, which_deployment
from convexlab_kernel import dotenv
from convexlab_kernel.environment import Environment, split

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group()
def env() -> None:
    """Set, show and remove environment variables."""


@env.command("list")
@click.option("--names-only", is_flag=True, help="Without their values.")
@which_deployment
def list_(
    *, names_only: bool, deployment: str | None, url: str | None, admin_key: str | None
) -> None:
    """List all, as lines of a .env file."""
    environment = Environment(chosen(deployment, url, admin_key))
    if names_only:
        lines: Sequence[str] = environment.names()
    else:
        values = environment.values()
        lines = [dotenv.line_of(name, value) for name, value in values.items()]
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("No environment variables are set.", err=True)


@env.command()
@click.argument("name")
@which_deployment
def get(
    name: str, *, deployment: str | None, url: str | None, admin_key: str | None
) -> None:
    """Print the value of NAME."""
    click.echo(Environment(chosen(deployment, url, admin_key)).get(name))


@env.command("set")
@click.argument("name", required=False)
@click.argument("value", required=False)
@click.option(
    "--from-file",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="NAME's value is the file's text; without NAME, the file is a .env file.",
)
@click.option(
    "--force", is_flag=True, help="Of a .env file: replace values that differ."
)
@which_deployment
def set_(
    name: str | None,
    value: str | None,
    *,
    file: Path | None,
    force: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Set NAME to VALUE (or NAME=VALUE); asks for what is not said, or reads stdin.

    Without NAME, set all of a .env file, or of stdin.
    """
    environment = Environment(chosen(deployment, url, admin_key))
    if name is None:
        told = environment.set_all(_text(file), force=force)
        click.echo(f"{file or 'stdin'}: {told}")
        return
    name, said = split(name, value)
    if said is None:
        said = _asked(name) if file is None else _text(file)
    environment.set({name: said})
    click.echo(f"{name} is set.")


@env.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@which_deployment
def remove(
    names: tuple[str, ...],
    *,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Take variables away (also: unset)."""
    Environment(chosen(deployment, url, admin_key)).remove(list(names))
    for name in names:
        click.echo(f"{name} is no longer set.")


env.add_command(remove, "unset")


def _asked(name: str) -> str:
    """A value that is typed, and not shown; or all of stdin but its last line's end."""
    if sys.stdin.isatty():
        typed: str = click.prompt(f"Value of {name}", hide_input=True, default="")
        return typed
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def _text(file: Path | None) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8")
    if sys.stdin.isatty():
        raise click.UsageError("Name a variable, or a file: --from-file .env.")
    return sys.stdin.read()
