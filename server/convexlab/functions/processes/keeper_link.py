"""The link to the index keeper: a function process asks, and waits for the answer.

The keeper listens on a Unix socket whose place follows from the deployment's
folder. The gateway listens there before there is a keeper and starts one when
somebody comes; so connecting never fails while the deployment runs, and the first
question takes as long as the start. A keeper that dies is asked again once: a
question changes nothing.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING

import msgspec

from convexlab import knobs
from convexlab.errors import FollowerBehind
from convexlab.functions.processes.failures import error_from
from convexlab.functions.processes.messages import Failure
from convexlab.functions.processes.unix_sockets import socket_address

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.timestamp import Timestamp

HEAD = struct.Struct("<I")
_TIMEVAL = struct.Struct("@ll")
# Nearly all questions and answers are shorter, and come with one look.
_ONE_LOOK_BYTES = 16_384


class Question(msgspec.Struct, frozen=True, array_like=True):
    """A request to a follower, as of `at`, and how many seconds it may wait."""

    name: str
    at: int
    patience_seconds: float
    request: bytes


class Told(msgspec.Struct, frozen=True, array_like=True):
    """The answer to it; one of both."""

    body: bytes
    failure: Failure | None = None


def keeper_address(folder: Path) -> Path:
    """Where the keeper of a deployment's folder listens; its folder is made."""
    return socket_address(folder, "keeper.sock")


def body_of(told: Told) -> bytes:
    """What a follower answers.

    Raises:
        ConvexlabError: what it refuses.
    """
    if told.failure is not None:
        raise error_from(told.failure)
    return told.body


def behind(name: str, error: Exception) -> FollowerBehind:
    """What to say of an index whose connection was lost, or did not answer in time."""
    if isinstance(error, TimeoutError):
        return FollowerBehind(f"The {name} index is starting. Try again.")
    return FollowerBehind(f"The {name} index died: {error}.")


class KeeperLink:
    """`followers.keeper.DerivedIndexes` in another process; one caller at a time.

    Args:
        folder: the deployment's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket: socket.socket | None = None
        self._timeout = 0.0  # of the socket
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Told).decode

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """See `DerivedIndexes.ask`."""
        question = self._encode(Question(name, at, patience_seconds, request))
        timeout = patience_seconds + knobs.FOLLOWER_ANSWER_SECONDS
        try:
            told = self._decode(self._answer(question, timeout))
        except OSError as error:
            raise behind(name, error) from None
        return body_of(told)

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _answer(self, question: bytes, timeout: float) -> bytes:
        try:
            return self._call(question, timeout)
        except TimeoutError:
            raise
        except OSError:  # it died since: a new one is started by whoever comes
            return self._call(question, timeout)

    def _call(self, question: bytes, timeout: float) -> bytes:
        try:
            return self._called(question, timeout)
        except OSError:
            self.close()  # the answer must not be taken for the next one's
            raise

    def _called(self, question: bytes, timeout: float) -> bytes:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(str(keeper_address(self._folder)))
            self._timeout = 0.0
        if timeout != self._timeout:
            _limit(self._socket, timeout)
            self._timeout = timeout
        try:
            send_frame(self._socket, question)
            body = receive_frame(self._socket)
        except BlockingIOError:
            raise TimeoutError from None
        if body is None:
            raise ConnectionResetError("it closed the connection")
        return body


def framed(body: bytes) -> bytes:
    """A length and so many bytes."""
    return HEAD.pack(len(body)) + body


def send_frame(sock: socket.socket, body: bytes) -> None:
    """Send one frame."""
    sock.sendall(framed(body))


def receive_frame(sock: socket.socket) -> bytes | None:
    """The next frame's bytes; None when the other end has closed.

    N.B. the other end sends nothing after a frame until it is answered.
    """
    begun = sock.recv(_ONE_LOOK_BYTES)
    frame = _whole(sock, begun, HEAD.size)
    if frame is not None:
        frame = _whole(sock, frame, HEAD.size + HEAD.unpack_from(frame)[0])
    return None if frame is None else frame[HEAD.size :]


def _whole(sock: socket.socket, begun: bytes, size: int) -> bytes | None:
    if len(begun) >= size:
        return begun
    parts = bytearray(size)
    parts[: len(begun)] = begun
    view, have = memoryview(parts), len(begun)
    while have < size:
        count = sock.recv_into(view[have:])
        if not count:
            return None
        have += count
    return bytes(parts)


def _limit(sock: socket.socket, seconds: float) -> None:
    """How long a call may wait.

    N.B. Python's own timeouts poll before each call, and are set by one more.
    """
    whole = int(seconds)
    value = _TIMEVAL.pack(whole, int((seconds - whole) * 1e6))
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        sock.setsockopt(socket.SOL_SOCKET, option, value)
