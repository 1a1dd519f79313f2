"""`convexlab`: one command a file, errors said in a sentence, never a traceback."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

from convexlab.errors import ConvexlabError

# Each command's module and name there. Only the one that is asked for is loaded:
# notebooks start `serve` and wait for it.
COMMANDS: Final = {
    "init": "init.init",
    "serve": "serve.serve",
    "dev": "dev.dev",
    "deploy": "deploy.deploy",
    "run": "run.run",
    "data": "data.data",
    "import": "import_.import_",
    "export": "export.export",
    "env": "env.env",
    "logs": "logs.logs",
    "codegen": "codegen.codegen",
    "function-spec": "function_spec.function_spec",
    "admin-key": "admin_key.admin_key",
    "dashboard": "dashboard.dashboard",
    "convert": "convert.convert",
}


class Commands(click.Group):
    """The group of commands: our errors become one line and status 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """A command by its name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(".")
        found: click.Command = getattr(import_module(f"convexlab.cli.{module}"), name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConvexlabError as error:
            from convexlab.cli.words import explain

            click.echo(explain(error), err=True)
            ctx.exit(1)


def _say_version(ctx: click.Context) -> None:
    from importlib.metadata import version

    from convexlab.engine.compiled import engine_in_words

    click.echo(f"convexlab, version {version('convexlab')}, {engine_in_words()}")
    ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda ctx, _, asked: _say_version(ctx) if asked else None,
    help="Show the version, and whether the engine is compiled.",
)
def main() -> None:
    """A reactive document database whose functions are Python."""
