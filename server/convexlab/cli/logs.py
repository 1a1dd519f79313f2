"""`convexlab logs`: what functions print and how they end, as it happens."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from convexlab.cli.words import chosen, which_deployment
from convexlab_kernel.logs import Filters, Log, shown

if TYPE_CHECKING:
    from convexlab_kernel.logs import Entry

_ALL = -1


def _unless_said(history: int | None, *, follow: bool) -> int:
    """Who follows begins with what comes next, as with Convex's command line."""
    if history is None:
        return 0 if follow else _ALL
    return history


def _last(lines: list[str], count: int) -> list[str]:
    return lines if count == _ALL else lines[max(0, len(lines) - count) :]


@click.command()
@click.option(
    "--history",
    is_flag=False,
    flag_value=_ALL,
    type=click.IntRange(_ALL),
    metavar="[N]",
    help="Begin with the N newest entries, or with all that there are.",
)
@click.option(
    "--success", is_flag=True, help="Also a line for every run that did not fail."
)
@click.option("--jsonl", is_flag=True, help="Entries as lines of JSON.")
@click.option(
    "--follow/--no-follow",
    default=True,
    help="Go on with what comes (default), or show what there is.",
)
@click.option(
    "--function", default="", metavar="PATH", help="Of a function, a module, a folder."
)
@click.option(
    "--kind",
    type=click.Choice(["query", "mutation", "action", "httpaction"]),
    help="Of functions of this kind.",
)
@click.option(
    "--level",
    type=click.Choice(["debug", "info", "log", "warn", "error"]),
    help="With a line of this level; error: or that failed.",
)
@click.option("--text", default="", help="With this in a line, an error or a name.")
@click.option("--request", default="", metavar="ID", help="Of the request of this id.")
@click.option("--failed", is_flag=True, help="Only what failed.")
@which_deployment
def logs(
    *,
    history: int | None,
    success: bool,
    jsonl: bool,
    follow: bool,
    function: str,
    kind: str | None,
    level: str | None,
    text: str,
    request: str,
    failed: bool,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """Watch what functions print and how they end."""
    filters = Filters(
        function=function,
        kind=kind or "",
        level=level or "",
        text=text,
        request=request,
        failed=failed,
    )
    log = Log(chosen(deployment, url, admin_key).attachment, filters)

    def said(entry: Entry) -> list[str]:
        return [json.dumps(entry)] if jsonl else shown(entry, success=success)

    before = ["\n".join(lines) for entry in log.newest() if (lines := said(entry))]
    for line in _last(before, _unless_said(history, follow=follow)):
        click.echo(line)
    if follow:
        with suppress(KeyboardInterrupt):
            for entry in log.follow():
                for line in said(entry):
                    click.echo(line)
