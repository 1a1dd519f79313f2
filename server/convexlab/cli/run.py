"""`convexlab run`: call a function, print its value as JSON."""

from __future__ import annotations

import json
from typing import Any

import click

from convexlab.cli.words import chosen, which_deployment
from convexlab.documents.encoding import from_wire_object


@click.command()
@click.argument("function")
@click.argument("arguments", default="{}")
@which_deployment
def run(
    function: str,
    arguments: str,
    *,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Run FUNCTION (tasks:list) with ARGUMENTS, one JSON object."""
    try:
        given: Any = from_wire_object(json.loads(arguments))
    except json.JSONDecodeError as error:
        message = (
            f"ARGUMENTS are one JSON object, for instance '{{\"limit\": 10}}': {error}."
        )
        raise click.UsageError(message) from None
    value = chosen(deployment, url, admin_key).run(function, given)
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_tagged))


def _tagged(value: object) -> object:
    """What JSON has no form for: bytes by their size."""
    return f"bytes({len(value)})" if isinstance(value, bytes) else str(value)
