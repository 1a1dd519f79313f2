"""`convexlab serve`: a deployment in this terminal, until it is stopped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from convexlab import knobs
from convexlab.engine.files import FILES_VARIABLE
from convexlab.functions.processes.spawning import Spawned


def _address(_ctx: click.Context, _param: click.Parameter, said: str | None) -> str:
    """An address without a slash at its end; empty if none was said."""
    if said and not said.startswith(("http://", "https://")):
        raise click.BadParameter(f"{said!r} is none, such as https://data.example")
    return (said or "").rstrip("/")


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".convexlab/local"),
    show_default=True,
    help="The deployment's folder: all its data.",
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on."
)
@click.option(
    "--port", default=3210, show_default=True, help="For clients; 0 takes a free one."
)
@click.option(
    "--site-port",
    default=3211,
    show_default=True,
    help="For HTTP actions; 0 takes a free one, as does the default if it is taken.",
)
@click.option(
    "--url",
    "public_url",
    metavar="ADDRESS",
    callback=_address,
    help="Where clients reach it behind a proxy: addresses of files begin with it.",
)
@click.option(
    "--site-url",
    "public_site_url",
    metavar="ADDRESS",
    callback=_address,
    help="Where its HTTP actions are behind a proxy.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let in pages of this origin; several times for several.",
)
@click.option(
    "--compress",
    is_flag=True,
    help="Compress WebSocket messages for clients that offer it: for slow networks.",
)
@click.option(
    "--max-message",
    type=click.IntRange(1, 1024),
    default=knobs.MAX_INBOUND_MESSAGE_BYTES >> 20,
    show_default=True,
    metavar="MIB",
    help="What a client may send in one WebSocket message.",
)
@click.option(
    "--files",
    metavar="ADDRESS",
    envvar=FILES_VARIABLE,
    help="Where files are kept instead of in the folder, as fsspec says it: s3://bucket/prefix.",
)
@click.option(
    "--redact-logs-to-client",
    "--production",
    "redacts",
    is_flag=True,
    envvar="REDACT_LOGS_TO_CLIENT",
    help="In production: clients get no log lines, and of errors only what a ConvexError carries; the log has the rest.",
)
@click.option(
    "--detached",
    is_flag=True,
    help="As notebooks start it: free ports, addresses with a secret path, and it ends half an hour after its last client.",
)
@click.pass_context
def serve(
    ctx: click.Context,
    *,
    folder: Path,
    host: str,
    port: int,
    site_port: int,
    public_url: str,
    public_site_url: str,
    origins: tuple[str, ...],
    compress: bool,
    max_message: int,
    files: str | None,
    redacts: bool,
    detached: bool,
) -> None:
    """Run a deployment."""
    if files:  # the deployment's processes are told in the same way
        os.environ[FILES_VARIABLE] = files
    # N.B. before the imports, which take as long as these take to come up.
    spawned = [Spawned(sys.stderr.buffer) for _ in range(1 + knobs.READERS)]
    try:
        from convexlab.deployment import Options
        from convexlab.serving import serve as serve_deployment
        from convexlab.web.socket import SocketOptions

        options = Options(
            host=host,
            port=_unless_said(ctx, "port", port, detached=detached),
            site_ports=_site_ports(ctx, site_port, detached=detached),
            secret_gate=detached,
            idle_exit_seconds=knobs.IDLE_EXIT_SECONDS if detached else None,
            origins=origins,
            sockets=SocketOptions(compress, max_message << 20),
            public_url=public_url,
            public_site_url=public_site_url,
            redacts=redacts,
        )
        status = serve_deployment(folder, options, spawned)
    finally:
        for unused in spawned:
            unused.close()
    ctx.exit(status)


def _site_ports(ctx: click.Context, port: int, *, detached: bool) -> tuple[int, ...]:
    """Where HTTP actions may be; a detached deployment has them below its secret."""
    if _is_said(ctx, "site_port"):
        return (port,)
    return () if detached else (port, 0)


def _unless_said(ctx: click.Context, name: str, port: int, *, detached: bool) -> int:
    """The port that was said; a free one for a detached deployment."""
    return port if _is_said(ctx, name) or not detached else 0


def _is_said(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
