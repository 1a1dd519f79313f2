"""Large files, slow clients, many of both: nothing is held up, and memory stays flat."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import itertools
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest
from tests.deployments import PATIENCE_SECONDS, deployment, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

MODULE = """
from convexlab import mutation, query

@mutation
def upload_url(ctx): return ctx.storage.generate_upload_url()

@query
def url(ctx, id): return ctx.storage.get_url(id)

@query
def files(ctx): return len(ctx.db.system.query("_storage").collect())
"""
BLOCK = bytes(1 << 20)
LARGE_BLOCKS = 512
# More than there are threads to wait in.
MANY = 40
FLAT_BYTES = 48 << 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("files") / "one", {"m": MODULE}) as one:
        yield one


class Memory:
    """The most that the gateway had in memory, looked at again and again."""

    def __init__(self, running: Deployment) -> None:
        self._gateway = psutil.Process(running.pid)
        self.before = self.most = self.look()

    def look(self) -> int:
        now: int = self._gateway.memory_info().rss
        self.most = max(getattr(self, "most", 0), now)
        return now

    def check(self) -> None:
        grown = self.most - self.before
        assert grown < FLAT_BYTES, f"it grew by {grown >> 20} MB"


def ask(url: str, method: str, body: object = None) -> http.client.HTTPResponse:
    """The head of an answer, its body unread."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_SECONDS)
    query = f"?{parts.query}" if parts.query else ""
    connection.request(method, f"{parts.path}{query}", body=body)  # type: ignore[arg-type]  # also an iterator
    return connection.getresponse()


def stored(running: Deployment, blocks: Iterator[bytes]) -> str:
    """The URL of what was uploaded."""
    answer = ask(running.mutation("m:upload_url"), "POST", blocks)
    said = answer.read()
    assert answer.status == 200, said
    url: str = running.query("m:url", id=said.decode().split('"')[3])
    return url


def test_half_a_gigabyte_streams_in_flat_memory(running: Deployment):
    memory, sent = Memory(running), hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        for at in range(LARGE_BLOCKS):
            block = at.to_bytes(4) + BLOCK[4:]
            sent.update(block)
            memory.look()
            yield block

    url = stored(running, blocks())
    came, buffer = hashlib.sha256(), bytearray(1 << 20)
    answer = ask(url, "GET")
    while count := answer.readinto(buffer):
        came.update(memoryview(buffer)[:count])
        memory.look()
    assert came.digest() == sent.digest()
    memory.check()


def test_a_file_that_lost_bytes_ends_the_connection(running: Deployment):
    """A client sees that its file is not whole, and the log says why."""
    url = stored(running, itertools.repeat(b"x" * 1000, 300))
    digest = hashlib.sha256(b"x" * 300_000).hexdigest()
    with (running.folder / "files" / digest[:2] / digest).open("r+b") as file:
        file.truncate(200_000)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        ask(url, "GET").read()
    until(lambda: "shorter than its document says" in running.log())


# -- slow clients ---------------------------------------------------------------------


@contextlib.contextmanager
def slow_reader(url: str) -> Iterator[socket.socket]:
    """One that asks for a file and takes no more of it than its small window."""
    parts = urlsplit(url)
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.settimeout(PATIENCE_SECONDS)
        line.connect((parts.hostname, parts.port))
        head = f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        line.sendall(head.encode())
        assert line.recv(12) == b"HTTP/1.1 200"
        yield line


def rest_of(line: socket.socket) -> bytes:
    return b"".join(iter(lambda: line.recv(1 << 20), b""))


def test_slow_readers_hold_up_nobody_and_get_all_of_it(running: Deployment):
    size = 8 << 20
    url = stored(running, itertools.repeat(BLOCK, 8))
    memory = Memory(running)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(slow_reader(url)) for _ in range(MANY)]
        assert len(ask(url, "GET").read()) == size
        assert running.query("m:files") >= 1
        memory.look()
        memory.check()
        for line in slow[:3]:
            assert rest_of(line).endswith(bytes(size))


def test_readers_that_leave_leave_nothing_open(running: Deployment):
    url = stored(running, itertools.repeat(BLOCK, 8))
    gateway = psutil.Process(running.pid)
    assert len(ask(url, "GET").read()) == 8 << 20
    before = gateway.num_fds()
    with contextlib.ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(slow_reader(url))
        assert gateway.num_fds() >= before + MANY
    until(lambda: gateway.num_fds() <= before, running.log)
    assert "failed" not in running.log()
    assert running.query("m:files") >= 1


def test_slow_senders_hold_up_nobody(running: Deployment):
    files = running.query("m:files")
    parts = urlsplit(running.mutation("m:upload_url"))
    head = f"POST {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n"
    head += f"Content-Length: {4 << 20}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(MANY):
            line = stack.enter_context(
                socket.create_connection((parts.hostname, parts.port))
            )
            line.sendall(head.encode() + BLOCK + b"a little more")
        arriving = running.folder / "files" / "arriving"
        until(lambda: sum(f.stat().st_size > 0 for f in arriving.glob("*")) == MANY)
        stored(running, itertools.repeat(BLOCK, 8))
    until(lambda: not list(arriving.glob("*")), running.log)
    assert running.query("m:files") == files + 1
