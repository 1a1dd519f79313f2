"""`convexlab dashboard`: JupyterLab with the sidebar, in the browser."""

from __future__ import annotations

import html
import importlib.util
import signal
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from typing import Final

import click
from jupyter_core.paths import jupyter_runtime_dir, secure_write

from convexlab.cli.jupyter_servers import Server, servers, sidebar_of, sidebars
from convexlab.errors import NotFound, Unavailable
from convexlab_kernel.discovery import project_of

_LOOK_SECONDS: Final = 0.1
_PAGE: Final = """<!DOCTYPE html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="1;url={address}">
<title>convexlab</title>
<p>Opening <a href="{address}">JupyterLab with convexlab's sidebar</a>.</p>
"""


@click.command()
@click.option("--no-open", is_flag=True, help="Print the address only.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def dashboard(*, no_open: bool, jupyter_options: tuple[str, ...]) -> None:
    """Open this project's deployment in the browser: JupyterLab with the sidebar.

    A JupyterLab that runs over the project is taken as it is. Else one is started
    here, until Ctrl-C; what follows `--` is for it (`-- --port 8890`).
    """
    project = project_of(Path.cwd().resolve())
    address = next(sidebars(project), None)
    if address is not None:
        _show(address, opens=not no_open)
        return
    process = _start(project, jupyter_options)
    try:
        _show(_sidebar(_up(process)), opens=not no_open)
        status = process.wait()
    finally:
        process.terminate()
    click.get_current_context().exit(status)


def _start(project: Path, options: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """A JupyterLab over the project; the terminal's Ctrl-C and an end of ours are its."""
    if importlib.util.find_spec("jupyterlab") is None:
        message = (
            f"No JupyterLab runs over {project}, and none is installed beside "
            "convexlab. Install it: pip install jupyterlab."
        )
        raise NotFound(message)
    command = ["-m", "jupyterlab", "--no-browser", f"--ServerApp.root_dir={project}"]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter's JupyterLab
        [sys.executable, *command, *options], cwd=project
    )
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process


def _up(process: subprocess.Popen[bytes]) -> Server:
    """The server that a process has become."""
    while process.poll() is None:
        for server in servers():
            if server.pid == process.pid:
                return server
        time.sleep(_LOOK_SECONDS)
    message = f"JupyterLab ended at once, with status {process.returncode}: see above."
    raise Unavailable(message)


def _sidebar(server: Server) -> str:
    address = sidebar_of(server)
    if address is None:
        message = (
            f"The JupyterLab at {server.url} has no sidebar of convexlab's: its server "
            "extension is off. Look at `jupyter server extension list`."
        )
        raise NotFound(message)
    return address


def _show(address: str, *, opens: bool) -> None:
    click.echo(address)
    if opens and not _open(address):
        click.echo("There is no browser here: open this address in one.", err=True)


def _open(address: str) -> bool:
    """Open it by way of a file that only its owner reads, as Jupyter does.

    The address holds Jupyter's token, and a browser's arguments are everybody's on
    the machine to see.
    """
    file = Path(jupyter_runtime_dir()) / "convexlab-dashboard.html"
    with secure_write(str(file)) as page:
        page.write(_PAGE.format(address=html.escape(address)))
    return webbrowser.open(file.as_uri())
