"""Built apps on origins of their own, as web servers would have them.

What is served is what was built, with the guide's addresses in it replaced by those
of the deployment that the app is to meet.
"""

from __future__ import annotations

import mimetypes
import shutil
import subprocess
import threading
from contextlib import ExitStack, contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self

import httpx
from tests.compat.apps import BIN, BUILD, built, environment
from tests.deployments import until
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from tests.compat.apps import App
    from tests.compat.backend import Backend
    from tests.compat.pages import Addresses

_WITH_ADDRESSES = {".html", ".js", ".local"}


class Sites:
    """Where apps are served, started when first asked for."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.url = cache(self._url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, where)

    def _url(self, app: App, backend: Backend) -> str:
        """Where an app is that meets this backend; built if it was not."""
        folder = built(app, backend.functions)
        open_ = _next_server if app.page == "nextjs" else _file_server
        return self._stack.enter_context(open_(folder / app.dist, backend.addresses))


@contextmanager
def _file_server(folder: Path, addresses: Addresses) -> Iterator[str]:
    """Serve a folder's files."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = folder / (self.path.partition("?")[0].strip("/") or "index.html")
            if not file.is_file():
                self.send_error(404)
                return
            body = file.read_bytes()
            if file.suffix in _WITH_ADDRESSES:
                body = addresses.written_into(body.decode()).encode()
            kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="site")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def _next_server(built: Path, addresses: Addresses) -> Iterator[str]:
    """`next start`, on a copy of what was built: its server asks the deployment too."""
    port = free_port()
    folder = BUILD / f"nextjs-{port}"
    shutil.copytree(built, folder / ".next", ignore=shutil.ignore_patterns("cache"))
    for file in folder.rglob("*"):
        if file.suffix in _WITH_ADDRESSES:
            file.write_text(addresses.written_into(file.read_text()))
    process = subprocess.Popen(
        [BIN / "next", "start", "--hostname", "127.0.0.1", "--port", str(port)],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{url}/me"))
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def answers(url: str) -> bool:
    """Whether somebody gives a good answer there."""
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
