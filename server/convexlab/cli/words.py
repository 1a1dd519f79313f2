"""What commands say, and the options that several of them take."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import click

from convexlab.errors import ConvexlabError, PushFailed
from convexlab_kernel import client

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab_kernel.client import Database

F = TypeVar("F", bound="Callable[..., object]")


def explain(error: ConvexlabError) -> str:
    """An error for a terminal: where it is, what it says, its notes."""
    where = ""
    if isinstance(error, PushFailed) and error.path:
        line = f":{error.line}" if error.line else ""
        where = f"{error.path}.py{line}: "
    lines = [f"{where}{error}"]
    if isinstance(error, PushFailed) and error.traceback:
        lines.append(error.traceback)
    lines += getattr(error, "__notes__", [])
    return "\n".join(lines)


def which_deployment(command: F) -> F:
    """Add the options that say which deployment is meant."""
    for option in (
        click.option(
            "--admin-key", metavar="KEY", help="Its key; else $CONVEXLAB_ADMIN_KEY."
        ),
        click.option("--url", metavar="URL", help="Its address; else $CONVEXLAB_URL."),
        click.option(
            "--deployment",
            metavar="NAME",
            help="A deployment by name; else the nearest .convexlab/ (`local`).",
        ),
    ):
        command = option(command)
    return command


def chosen(deployment: str | None, url: str | None, admin_key: str | None) -> Database:
    """The deployment that the options name, left when the command ends."""
    if deployment and url:
        raise click.UsageError("Say --deployment or --url, not both.")
    key = admin_key or os.environ.get("CONVEXLAB_ADMIN_KEY")
    remote = url or (None if deployment else os.environ.get("CONVEXLAB_URL"))
    database = client.connect(
        remote or deployment, admin_key=key if remote else admin_key
    )
    return click.get_current_context().with_resource(database)
