"""One deployment's HTTP side: requests over kept connections, failures typed.

Only the standard library's client: it is there at once, and on loopback its
overhead is a third of a request's. Connections are kept and shared by threads,
each used by one at a time.

Invariants
    E1  A request is sent again only when it surely was not received: when no
        connection could be made, or a kept one was found closed before use.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from convexlab import knobs
from convexlab.errors import NotRunning, TransferFailed, Unavailable
from convexlab_kernel.failures import refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager


_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, its whole body, and as of when it is, if it says so."""

    status: int
    body: bytes
    ts: int | None = None


class Endpoint:
    """Requests to one address.

    Args:
        url: the deployment's address; a path in it is kept.
        headers: sent with every request.
        timeout: seconds until a request is given up.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = knobs.CALL_SECONDS,
    ) -> None:
        parts = urlsplit(url)
        self.url = url
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Convex-Client": "convexlab-0.1.0", **(headers or {})}
        self._timeout = timeout
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def post(
        self,
        path: str,
        body: bytes | IO[bytes],
        *,
        kind: str = "application/json",
        sending: AbstractContextManager[object] | None = None,
    ) -> bytes:
        """Send a body; the answer's body, or the error that the answer names."""
        return self.answer(path, body, kind=kind, sending=sending).body

    def answer(
        self,
        path: str,
        body: bytes | IO[bytes],
        *,
        kind: str = "application/json",
        sending: AbstractContextManager[object] | None = None,
    ) -> Answer:
        """Send a body; the answer, or the error that it names."""
        answer = self.request("POST", path, body, kind=kind, sending=sending)
        if answer.status >= 400:
            raise refused(answer.status, answer.body)
        return answer

    def get(self, path: str) -> bytes:
        """Ask for a path; the answer's body, or the error that the answer names."""
        answer = self.request("GET", path)
        if answer.status >= 400:
            raise refused(answer.status, answer.body)
        return answer.body

    def fetch(self, path: str, out: IO[bytes]) -> None:
        """Ask for a path, and write the answer's body to a file as it comes."""
        answer = self.request("GET", path, out=out)
        if answer.status >= 400:
            raise refused(answer.status, answer.body)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | IO[bytes] | None = None,
        *,
        kind: str = "application/json",
        sending: AbstractContextManager[object] | None = None,
        out: IO[bytes] | None = None,
    ) -> Answer:
        """Send one request, whatever the answer's status.

        Args:
            method: GET, POST, …
            path: below the endpoint's address.
            body: what is sent; a file is streamed.
            kind: the body's content type.
            sending: held while the request is sent and not while it is answered, so
                that those who share it arrive in the order in which they began.
            out: takes the body of an answer that is no refusal.
        """
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = kind
        connection = self._take()
        try:
            with sending or contextlib.nullcontext():
                connection.request(method, self._prefix + path, body, headers)
            response = connection.getresponse()
            if out is None or response.status >= 400:
                answer = Answer(response.status, response.read(), _ts_of(response))
            else:
                answer = Answer(response.status, b"")
                _copy(response, out)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._lost(error) from error
        if response.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the kept connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> http.client.HTTPConnection:
        """A kept connection that is still open, or a new one (E1)."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                connection = self._idle.pop()
            if connection.sock is not None and not _readable(connection):
                return connection
            connection.close()
        maker = (
            http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        )
        return maker(self._host, timeout=self._timeout)

    def _lost(self, error: Exception) -> Unavailable:
        if isinstance(error, ConnectionRefusedError):
            return NotRunning(
                f"Nobody answers at {self.url}: the deployment is not running."
            )
        if isinstance(error, TimeoutError):
            return Unavailable(
                f"{self.url} did not answer within {self._timeout:.0f} s."
            )
        return Unavailable(
            f"The connection to {self.url} was lost ({type(error).__name__}: {error}). "
            "Whether the request was carried out is not known."
        )


def _ts_of(response: http.client.HTTPResponse) -> int | None:
    said = response.getheader("Convexlab-Ts")
    return int(said) if said is not None and said.isdecimal() else None


def _copy(response: http.client.HTTPResponse, out: IO[bytes]) -> None:
    """N.B. a body that ends early raises here; `shutil.copyfileobj` would not tell."""
    while piece := response.read(_PIECE):
        try:
            out.write(piece)
        except OSError as error:
            message = f"What came cannot be written: {error.strerror}."
            raise TransferFailed(message) from error
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _readable(connection: http.client.HTTPConnection) -> bool:
    """Whether an idle connection has something to read: then it has been closed."""
    return bool(select.select([connection.sock], [], [], 0)[0])
