r"""Heads: of a request and of its answer, byte for byte, around what varies in them.

    POST /api/query HTTP/1.1\r\nContent-Length: │ 57 │ \r\nHost: here\r\n\r\n
    └───────────────── before ────────────────┘      └──────── after ───────┘

What is not surely the head of one request with a body of known length is none.
"""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp.helpers import rfc822_formatted_time

if TYPE_CHECKING:
    from aiohttp import web

_END: Final = b"\r\n\r\n"
# N.B. a longer number is no length of anything, and takes long to read.
_LENGTH: Final = re.compile(
    rb"\r\ncontent-length:[ \t]*([0-9]{1,12})(?=\r\n)", re.IGNORECASE
)
_MOST_DIGITS: Final = 12
# Heads behind which something else comes than a body of known length.
_UNUSUAL: Final = re.compile(
    rb"transfer-encoding|upgrade|expect|^connect |[^\r]\n|\r[^\n]", re.IGNORECASE
)


class Head(msgspec.Struct, frozen=True):
    """A request's head around the digits of its body's length."""

    before: bytes
    after: bytes

    def length_behind(self, data: bytes) -> tuple[int, int] | None:
        """Where the body begins in what begins with this head, and its length."""
        if not data.startswith(self.before):
            return None
        start = len(self.before)
        end = data.find(b"\r", start, start + _MOST_DIGITS + 1)
        length = data[start:end]
        if end < 0 or not length.isdigit() or not data.startswith(self.after, end):
            return None
        return end + len(self.after), int(length)


def head_of(data: bytes) -> tuple[Head, int] | None:
    """The head that a read begins with, and how much is missing of its body.

    None for what is more than one request, and for anything else.
    """
    head, end, body = data.partition(_END)
    if not end or _UNUSUAL.search(head):
        return None
    lines = head + b"\r\n"
    lengths = list(_LENGTH.finditer(lines))
    if lines.lower().count(b"content-length") != len(lengths) or len(lengths) > 1:
        return None
    if not lengths:
        return None if body else (Head(data, b""), 0)
    (length,) = lengths
    missing = int(length[1]) - len(body)
    if missing < 0:
        return None
    return Head(lines[: length.start(1)], lines[length.end(1) :] + b"\r\n"), missing


class AnswerHead(msgspec.Struct, frozen=True):
    """The head of an answer: its status, length and date are put in."""

    form: bytes

    def before(self, status: int, body: bytes) -> bytes:
        """The answer with another status and body."""
        date = rfc822_formatted_time().encode()
        varying = {b"status": _status(status), b"length": len(body), b"date": date}
        return self.form % varying + body


@cache
def _status(status: int) -> bytes:
    return f"{status} {HTTPStatus(status).phrase}".encode()


_VARYING: Final = {"content-length": "%(length)d", "date": "%(date)b"}


def answer_head(request: web.BaseRequest, response: web.StreamResponse) -> AnswerHead:
    """What an answer that was sent has before its body."""
    version = f"HTTP/{request.version.major}.{request.version.minor}"
    lines = [f"{version} %(status)b"]
    for name, value in response.headers.items():
        said = _VARYING.get(name.lower(), value.replace("%", "%%"))
        lines.append(f"{name.replace('%', '%%')}: {said}")
    return AnswerHead("\r\n".join([*lines, "", ""]).encode())
