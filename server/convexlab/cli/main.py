"""`convexlab`: one command a file, errors said in a sentence, never a traceback."""

from __future__ import annotations

from typing import Any

import click

from convexlab.cli.admin_key import admin_key
from convexlab.cli.codegen import codegen
from convexlab.cli.deploy import deploy
from convexlab.cli.dev import dev
from convexlab.cli.function_spec import function_spec
from convexlab.cli.import_ import import_
from convexlab.cli.run import run
from convexlab.cli.serve import serve
from convexlab.cli.words import explain
from convexlab.errors import ConvexlabError


class Commands(click.Group):
    """The group of commands: our errors become one line and status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConvexlabError as error:
            click.echo(explain(error), err=True)
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="convexlab")
def main() -> None:
    """A reactive document database whose functions are Python."""


for command in (
    serve,
    dev,
    deploy,
    run,
    import_,
    codegen,
    function_spec,
    admin_key,
):
    main.add_command(command)
