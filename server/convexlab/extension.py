"""The Jupyter Server extension: the deployment under Jupyter's own address.

    browser ──<base_url>/convex/…──▶ Jupyter (who is it?) ──▶ deployment

    <base_url>/convex/…             Jupyter's login: cookie or token, XSRF, origin
    <base_url>/convex/c/<secret>/…  the secret is the login; clients keep the path
    <base_url>/convex/session       POST: a key of the owner's for the page, for an hour

It holds nothing: these are its routes, and what answers them is in `relay`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.utils import url_path_join

from convexlab.relay.http import OwnRelay, SecretRelay, Session, SiteRelay
from convexlab.relay.keeper import Keeper
from convexlab.relay.sockets import OwnSocket, SecretSocket

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def routes(base_url: str, keeper: Keeper) -> list[tuple[str, type, dict[str, Any]]]:
    """The extension's routes; the first that matches answers."""
    root = re.escape(url_path_join(base_url, "convex"))
    sync = r"(api/(?:[^/]+/)?sync)"
    settings = {"keeper": keeper}
    return [
        (rf"{root}/c/([^/]+)/+{sync}", SecretSocket, settings),
        (rf"{root}/c/([^/]+)/+(http(?:/.*)?)", SiteRelay, settings),
        (rf"{root}/c/([^/]+)(?:/+(.*))?", SecretRelay, settings),
        (rf"{root}/+session", Session, settings),
        (rf"{root}/+{sync}", OwnSocket, settings),
        (rf"{root}/+(.*)", OwnRelay, settings),
    ]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "convexlab.extension"}]


def _load_jupyter_server_extension(serverapp: ServerApp) -> None:
    """Add the routes; the deployment is looked for once the loop runs."""
    root = Path(getattr(serverapp, "preferred_dir", "") or serverapp.root_dir)
    keeper = Keeper(root)
    application = serverapp.web_app
    application.settings["convexlab_keeper"] = keeper
    base_url = application.settings["base_url"]
    application.add_handlers(".*$", routes(base_url, keeper))  # type: ignore[no-untyped-call]
    serverapp.io_loop.add_callback(keeper.start)
    serverapp.log.info("convexlab: relaying %s", url_path_join(base_url, "convex"))
