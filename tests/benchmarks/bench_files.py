"""How fast do large files go up and down, and what does the server hold meanwhile?

One file, posted to an upload URL and read from its own, beside `cp` to the same disk
(flushed, as an upload is) and beside nginx (without a hash, a flush or a document): by
`PUT`, and serving the same bytes. All take turns. What is sent and read is thrown away
by the same bare socket.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
from tests.benchmarks import wire
from tests.benchmarks.deployments import (
    Watch,
    deployment,
    parts_of_memory,
)
from tests.benchmarks.figures import Options, Row, Table, percentile
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.benchmarks.deployments import Deployment

MODULES = {
    "m": """
from convexlab import mutation, query


@mutation
def upload_url(ctx):
    return ctx.storage.generate_upload_url()


@query
def url(ctx, id):
    return ctx.storage.get_url(id)
"""
}
MB = 1_000_000
BLOCK = 1 << 20
SMALL = 10_000
CP, NGINX = "cp, then flushed", "nginx"

CONFIGURATION = """
daemon off;
worker_processes 1;
user {user};
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_max_body_size 0;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        location /in/ {{ dav_methods PUT; }}
    }}
}}
"""


def run(options: Options) -> Iterator[Table]:
    rounds = options.count(5, 1)
    source = _written(options.folder / "source", options.count(2_000 * MB, 8 * MB))
    with (
        deployment(options.folder / "served", MODULES) as served,
        _nginx(options.folder / "nginx") as nginx,
    ):
        gateway = psutil.Process(served.process.pid)
        at_rest = parts_of_memory(gateway)[0]
        up: dict[str, Callable[[], Any]] = {
            "upload": lambda: upload(served, source),
            CP: lambda: _copy(source, options.folder / "copy"),
        }
        with Watch(served) as watch:
            yield _table("upload", source, up | nginx.puts(source), rounds, CP)
            upload_most = watch.peak_memory
        file = served.run("query", "m:url", id=upload(served, source))
        down: dict[str, Callable[[], Any]] = {"download": lambda: download(file)}
        yield _table("download", source, down | nginx.gets(source), rounds, NGINX)
        held = parts_of_memory(gateway)[0]
        small = _written(options.folder / "small", SMALL)
        file = served.run("query", "m:url", id=upload(served, small))
        one = _table(
            f"of {SMALL:,} bytes",
            small,
            {"download": lambda: download(file)} | nginx.gets(small),
            options.count(2000, 20),
            NGINX,
        )
        one.notes.append(
            f"the gateway's own memory: {at_rest:.0f} MB at rest, {held:.0f} MB after "
            f"all of it; all processes {upload_most:.0f} MB at most in uploads"
        )
        yield one


def _table(
    what: str,
    source: Path,
    works: dict[str, Callable[[], Any]],
    rounds: int,
    reference: str,
) -> Table:
    """What each costs, taking turns."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            took[name].append((time.perf_counter() - began) * 1e3)
    size = source.stat().st_size
    median = {name: percentile(each, 50) for name, each in took.items()}
    base = median.get(reference)
    return Table(
        f"{what}: {size / MB:,.2f} MB; ratio to {reference} (medians)",
        "MB",
        [
            Row(
                name,
                size / MB / (median[name] / 1e3),
                each,
                ratio=None if base is None else base / median[name],
            )
            for name, each in took.items()
        ],
    )


def _written(path: Path, size: int) -> Path:
    """A file of so many bytes that nothing can make smaller."""
    with path.open("wb") as file:
        for at in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - at)))
        os.fsync(file.fileno())
    return path


def _copy(source: Path, to: Path) -> None:
    subprocess.run(["cp", source, to], check=True)
    with to.open("rb") as file:
        os.fsync(file.fileno())


# -- over HTTP -----------------------------------------------------------------------


def upload(served: Deployment, source: Path) -> str:
    """Post a file; its storage id."""
    url = served.run("mutation", "m:upload_url")
    body = _send("POST", url, source)
    assert b"storageId" in body, body[:300]
    storage_id: str = body.decode().split('"')[3]
    return storage_id


def download(url: str) -> int:
    """Read a file and throw it away; how many bytes it has."""
    host, port, path = wire.place_of(url)
    buffer = bytearray(BLOCK)
    with socket.create_connection((host, port), 60) as line:
        line.sendall(wire.request(path))
        count = line.recv_into(buffer)
        head, _, begun = bytes(buffer[:count]).partition(wire.HEAD_END)
        assert b" 200 " in head[:20], head[:300]
        at = head.lower().index(b"content-length:")
        size = int(head[at + 15 :].split(b"\r", 1)[0])
        left = size - len(begun)
        while left:
            count = line.recv_into(buffer)
            assert count, f"{left} bytes did not come"
            left -= count
    return size


def _send(method: str, url: str, source: Path) -> bytes:
    """Send a file by the kernel's own way; the answer."""
    parts = url.split("/", 3)
    host, port, _ = wire.place_of(url)
    head = (
        f"{method} /{parts[3]} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Length: {source.stat().st_size}\r\n\r\n"
    )
    with socket.create_connection((host, port), 600) as line, source.open("rb") as file:
        line.sendall(head.encode())
        line.sendfile(file)
        answer = b""
        while more := line.recv(1 << 16):
            answer += more
    return answer


# -- nginx ---------------------------------------------------------------------------


class _Nginx:
    """What serves a folder; nothing, where there is no nginx."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self._folder = folder
        self._url = url

    def gets(self, source: Path) -> dict[str, Callable[[], Any]]:
        """What reads a file from it."""
        if self._url is None:
            return {}
        shutil.copy(source, self._folder / "out" / source.name)
        return {NGINX: lambda: download(f"{self._url}/out/{source.name}")}

    def puts(self, source: Path) -> dict[str, Callable[[], Any]]:
        """What sends a file there."""
        if self._url is None:
            return {}

        def put() -> None:
            said = _send("PUT", f"{self._url}/in/{source.name}", source)
            assert b" 20" in said[:20], said[:300]

        return {f"{NGINX}, not flushed": put}


@contextlib.contextmanager
def _nginx(folder: Path) -> Iterator[_Nginx]:
    places = [os.environ["PATH"], "/usr/sbin", f"{sys.prefix}/nginx/usr/sbin"]
    program = shutil.which("nginx", path=os.pathsep.join(places))
    for name in ("in", "out"):
        (folder / name).mkdir(parents=True)
    if program is None:
        yield _Nginx(folder, None)
        return
    port = free_port()
    user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
    owner = f"{user.pw_name} {group.gr_name}"
    text = CONFIGURATION.format(port=port, root=folder, user=owner)
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen(
        [program, "-p", folder, "-c", "nginx.conf", "-e", "stderr"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None:
            with (
                contextlib.suppress(ConnectionRefusedError),
                socket.create_connection(("127.0.0.1", port)),
            ):
                break
            time.sleep(0.01)
        assert process.poll() is None, "nginx does not start"
        yield _Nginx(folder, f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait()
