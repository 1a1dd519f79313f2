"""`convexlab run`: call a function, or follow a query, and print what it returns.

The value goes to stdout as JSON, nothing of a null; what the function prints, and how
it failed, go to stderr.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convexlab.cli import called
from convexlab.cli.dev import push_folder
from convexlab.cli.words import chosen, explain, which_deployment
from convexlab.documents.encoding import to_clean_json, to_stored
from convexlab.documents.value import normalize
from convexlab.errors import ConvexlabError, NotFound

if TYPE_CHECKING:
    from convexlab_kernel.client import Database
    from convexlab_kernel.followed import LiveResult

_FOLDER = Path("convex")


@click.command()
@click.argument("function")
@click.argument("arguments", default="{}")
@click.option(
    "--watch", is_flag=True, help="Follow a query: print each result, until Ctrl-C."
)
@click.option(
    "--identity",
    metavar="JSON",
    help='Call it as a user: \'{"subject": "ann"}\'.',
)
@click.option("--push", is_flag=True, help="Push convex/ first.")
@which_deployment
def run(
    function: str,
    arguments: str,
    *,
    watch: bool,
    identity: str | None,
    push: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Run FUNCTION (tasks:list) with ARGUMENTS, one JSON object."""
    path = called.path_of(function, _FOLDER)
    given = called.arguments_of(arguments)
    user = None if identity is None else called.identity_of(identity)
    database = chosen(deployment, url, admin_key)
    if push:
        click.echo(push_folder(database, _FOLDER), err=True)
    if user is not None:
        caller = database.as_user(**user)
        database = click.get_current_context().with_resource(caller)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(database.follow(path, to_stored(normalize(given))))
    else:
        _show(_returned(database, path, given))


def _returned(database: Database, path: str, given: dict[str, Any]) -> Any:
    """What a function returns; one that is not there is told with those that are."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return database.run(path, given)
    except NotFound as error:
        if str(error).startswith("Could not find function"):
            there = "".join(f"\n  {each}" for each in _functions(database))
            error.add_note(f"The functions there are:{there or ' none yet'}")
        raise


def _functions(database: Database) -> list[str]:
    return sorted(database.status().function_paths())


def _follow(result: LiveResult) -> None:
    """Print each result, and each failure, which the next change may end."""
    seen = 0
    while not result.closed:
        with result.changed:
            _await_news(result, seen)
            seen, error, value = result.count, result.error, result.presented
        if error is None:
            _show(value)
        else:
            _complain(error, is_over=result.closed)


def _await_news(result: LiveResult, seen: int) -> None:
    result.changed.wait_for(lambda: result.count > seen or result.closed)


def _complain(error: ConvexlabError, *, is_over: bool) -> None:
    if is_over:
        raise error
    click.echo(explain(error), err=True)


def _show(value: object) -> None:
    if value is not None:
        clean = json.loads(to_clean_json(normalize(value)), parse_float=_number)
        click.echo(json.dumps(clean, indent=2, ensure_ascii=False))


def _number(text: str) -> float:
    """A number as JavaScript writes it: `1`, which the wire has as `1.0`."""
    number = float(text)
    return int(number) if number.is_integer() else number
