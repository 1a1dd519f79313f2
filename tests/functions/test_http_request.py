from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments
from convexlab.functions.awaited_calls import AsyncCalls
from convexlab.functions.forms import UploadedFile
from convexlab.functions.http_request import Request, SyncRequest
from convexlab.functions.run_log import LogLines

URL = "https://site.example/a%20b/c?page=2&tag=x&tag=y&empty="
HEADERS = [("X-Sig", "1"), ("x-sig", "2"), ("Content-Type", "application/json")]


class Parts:
    """A body in parts, for both kinds of reader."""

    def __init__(self, *parts: bytes) -> None:
        self.left = list(parts)

    def next(self) -> bytes:
        return self.left.pop(0) if self.left else b""


class AsyncParts(Parts):
    async def read(self) -> bytes:
        return self.next()


class PlainParts(Parts):
    def read(self) -> bytes:
        return self.next()


def awaited(*parts: bytes, headers: list[tuple[str, str]] = HEADERS) -> Request:
    async def ask(*_: object) -> bytes:
        raise AssertionError("a request asks nobody")

    calls = AsyncCalls(ask, LogLines())
    return Request("POST", URL, headers, AsyncParts(*parts), calls)


def blocking(*parts: bytes, headers: list[tuple[str, str]] = HEADERS) -> SyncRequest:
    return SyncRequest("POST", URL, headers, PlainParts(*parts))


@pytest.mark.parametrize("request_of", [awaited, blocking])
async def test_the_head_is_there_without_a_call(request_of) -> None:  # type: ignore[no-untyped-def]
    request = request_of()
    assert (request.method, request.url, request.path) == ("POST", URL, "/a%20b/c")
    assert request.headers["x-SIG"] == "1"
    assert request.headers.getall("X-Sig") == ["1", "2"]
    assert request.query["page"] == "2"
    assert request.query.getall("tag") == ["x", "y"]
    assert request.query["empty"] == ""
    assert "missing" not in request.query


async def test_a_body_is_read_whole_and_as_often_as_one_likes() -> None:
    request = awaited(b'{"a": ', b"[1]}")
    assert await request.json() == {"a": [1]}
    assert await request.text() == '{"a": [1]}'
    assert await request.bytes() == b'{"a": [1]}'
    plain = blocking(b'{"a": ', b"[1]}")
    assert plain.json() == {"a": [1]}
    assert (plain.text(), plain.bytes()) == ('{"a": [1]}', b'{"a": [1]}')


async def test_a_form_has_fields_and_files() -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nhi\r\n--b--"
    )
    headers = [("Content-Type", "multipart/form-data; boundary=b")]
    expected = UploadedFile("a.txt", "text/plain", b"hi")
    assert (await awaited(form, headers=headers).form())["f"] == expected
    assert blocking(form, headers=headers).form()["f"] == expected


async def test_a_body_in_parts_is_read_once() -> None:
    request = awaited(b"a", b"b")
    assert [part async for part in request.body] == [b"a", b"b"]
    with pytest.raises(InvalidArguments, match="being read in parts"):
        await request.text()
    plain = blocking(b"a", b"b")
    assert list(plain.body) == [b"a", b"b"]
    with pytest.raises(InvalidArguments, match="being read in parts"):
        plain.bytes()


async def test_what_is_not_json_says_where() -> None:
    with pytest.raises(InvalidArguments, match="not JSON"):
        await awaited(b"{").json()
    with pytest.raises(InvalidArguments, match="not JSON"):
        blocking(b"[" * 100_000).json()


async def test_text_that_is_no_utf8_is_read_all_the_same() -> None:
    assert await awaited(b"a\xff").text() == "a\ufffd"
