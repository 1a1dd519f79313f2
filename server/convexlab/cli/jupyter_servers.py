"""The Jupyter servers that run here: which has a project's sidebar, and where it is.

A sidebar is opened in a workspace of its own, `convexlab`, whose layout has it in
front: what other pages of the same JupyterLab show stays as it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import httpx
import msgspec
from jupyter_server.serverapp import list_running_servers

from convexlab_kernel.discovery import project_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKSPACE: Final = "convexlab"
_WORKSPACE_API: Final = f"lab/api/workspaces/{WORKSPACE}"
# Where JupyterLab keeps its layout, and the panel's name there.
_LAYOUT: Final = "layout-restorer:data"
_PANEL: Final = "convexlab-sidebar"
# A server that is busy longer than this is passed over.
_ANSWER_SECONDS: Final = 10.0


class Server(msgspec.Struct, frozen=True):
    """What a running Jupyter server says about itself, in the user's runtime folder.

    Args:
        url: its address, with a slash at the end.
        root_dir: the folder that it shows.
        pid: its process.
        token: what opens it; empty where a password or a hub does.
        sock: its Unix socket, where it has no port.
    """

    url: str
    root_dir: str
    pid: int
    token: str = ""
    sock: str = ""

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> httpx.Response | None:
        """Its answer; None where there is none."""
        try:
            return httpx.request(
                method,
                f"{self.url}{path}",
                json=body,
                headers={"Authorization": f"token {self.token}"} if self.token else {},
                timeout=_ANSWER_SECONDS,
                trust_env=False,  # a proxy for the world is none for this machine
            )
        except httpx.HTTPError:
            return None


def servers() -> Iterator[Server]:
    """The user's running Jupyter servers that a browser can reach."""
    for found in list_running_servers():
        server = msgspec.convert(found, Server)
        if not server.sock:
            yield server


def sidebars(project: Path) -> Iterator[str]:
    """The addresses of the sidebars that show a project's deployment already."""
    for server in servers():
        if project_of(Path(server.root_dir).resolve()) == project:
            address = sidebar_of(server)
            if address is not None:
                yield address


def sidebar_of(server: Server) -> str | None:
    """Where a server's sidebar is; None where it has none.

    It is in front there, unless only a browser can log in to the server: then the
    cylinder at the left opens it.
    """
    relay = server.ask("GET", "convex/version")
    workspace = server.ask("GET", _WORKSPACE_API)
    for answer in (relay, workspace):
        if answer is None or answer.status_code == httpx.codes.NOT_FOUND:
            return None
    assert workspace is not None
    if workspace.is_success:
        server.ask("PUT", _WORKSPACE_API, _with_sidebar(workspace.json()))
    token = f"?token={quote(server.token)}" if server.token else ""
    return f"{server.url}lab/workspaces/{WORKSPACE}{token}"


def _with_sidebar(saved: dict[str, Any]) -> dict[str, Any]:
    """A workspace as it was left, with the sidebar in front."""
    data = saved.get("data", {})
    layout = data.get(_LAYOUT, {})
    left = {
        **layout.get("left", {}),
        "collapsed": False,
        "visible": True,
        "current": _PANEL,
    }
    return {
        "data": {**data, _LAYOUT: {**layout, "left": left}},
        "metadata": {"id": WORKSPACE},
    }
