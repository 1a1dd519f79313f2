"""`convexlab data`: the tables, or a table's documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from convexlab.cli.words import chosen, which_deployment
from convexlab.documents.encoding import to_wire
from convexlab.errors import NotFound
from convexlab_kernel import display

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab_kernel.client import Database
    from convexlab_kernel.results import Document


@click.command()
@click.argument("table", required=False)
@click.option(
    "--limit", type=click.IntRange(1), default=100, help="At most so many (100)."
)
@click.option(
    "--order",
    type=click.Choice(["desc", "asc"]),
    default="desc",
    help="Newest first, or oldest.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["pretty", "jsonArray", "json", "jsonLines", "jsonl"]),
    default="pretty",
    help="As a table, or as `convexlab import` reads it.",
)
@which_deployment
def data(
    table: str | None,
    *,
    limit: int,
    order: Literal["asc", "desc"],
    form: str,
    deployment: str | None,
    url: str | None,
    admin_key: str | None,
) -> None:
    """List the tables, or the documents of TABLE."""
    database = chosen(deployment, url, admin_key)
    if table is None:
        for name in _tables(database):
            click.echo(name)
        return
    if not table.startswith("_") and table not in _tables(database):
        listed = ", ".join(_tables(database)) or "none yet"
        raise NotFound(f"There is no table `{table}`. There are: {listed}.")
    # One more than are shown tells whether there are more.
    found = database.table(table).take(limit + 1, order=order)
    for line in _LINES[form](found[:limit]):
        click.echo(line)
    if len(found) > limit:
        kind = "newest" if order == "desc" else "oldest"
        click.echo(f"The {limit:,} {kind}; --limit shows more.", err=True)


def _tables(database: Database) -> list[str]:
    found = database.query("_system/cli/tables")
    return sorted(table["name"] for table in found["page"])


def _pretty(documents: Sequence[Document]) -> list[str]:
    if not documents:
        return ["no documents"]
    names = display.columns(documents)
    rows = [
        [display.field(name, row[name]) if name in row else "" for name in names]
        for row in documents
    ]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = [names, ["-" * width for width in widths], *rows]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    ]


def _lines(documents: Sequence[Document]) -> list[str]:
    return [to_wire(document).decode() for document in documents]


def _array(documents: Sequence[Document]) -> list[str]:
    return ["[\n" + ",\n".join(_lines(documents)) + "\n]"]


_LINES = {
    "pretty": _pretty,
    "json": _array,
    "jsonArray": _array,
    "jsonl": _lines,
    "jsonLines": _lines,
}
