from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp
import httpx
import pytest
from hypothesis import example, given, strategies as st

from convexlab import knobs
from convexlab.errors import InvalidArguments
from convexlab.functions.forms import UploadedFile, parse_form

if TYPE_CHECKING:
    from convexlab.functions.forms import Form

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
# What boundaries and line breaks may be taken for.
TRICKY = st.lists(
    st.sampled_from([b"\r\n", b"--", b"\n", b"a", b"\0", b"\xff", b"--b"])
)


def sent_by_httpx(
    fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]]
) -> Form:
    request = httpx.Request(
        "POST",
        "http://x",
        files=[
            *((name, (None, text.encode())) for name, text in fields),
            *((name, (file, data, "image/png")) for name, file, data in files),
        ],
    )
    return parse_form(request.headers["Content-Type"], request.read())


@given(
    st.lists(st.tuples(NAMES, TEXTS), min_size=1, max_size=3),
    st.lists(st.tuples(NAMES, NAMES, TRICKY.map(b"".join)), max_size=3),
)
@example([("a", " ")], [("b", " ", b" ")])
@example([("a", " ")], [("b\\", "c\\", b" ")])
def test_a_multipart_form_says_what_was_put_in(
    fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]]
) -> None:
    form = sent_by_httpx(fields, files)
    assert list(form.items()) == [
        *fields,
        *((name, UploadedFile(file, "image/png", data)) for name, file, data in files),
    ]


def test_another_client_writes_forms_that_are_read_too() -> None:
    data = aiohttp.FormData(quote_fields=False)
    data.add_field("text", "größer", content_type="text/plain; charset=latin-1")
    data.add_field("file", b"\r\n", filename='a "b".txt')

    async def written() -> tuple[str, bytes]:
        payload = data()
        return payload.headers["Content-Type"], await payload.as_bytes()

    form = parse_form(*asyncio.run(written()))
    assert form["text"] == "größer"
    file = form["file"]
    assert isinstance(file, UploadedFile)
    assert (file.filename, file.data) == ('a "b".txt', b"\r\n")


@given(st.lists(st.tuples(TEXTS, TEXTS)))
def test_an_urlencoded_form_says_what_was_put_in(fields: list[tuple[str, str]]) -> None:
    fields = [(name, value) for name, value in fields if name or value]
    form = parse_form("application/x-www-form-urlencoded", urlencode(fields).encode())
    assert list(form.items()) == fields


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("application/json", b"{}", "a form's is application/x-www-form-urlencoded"),
        ("", b"", "a form's is"),
        ("multipart/form-data", b"--b--", "names no boundary"),
        ("multipart/form-data; boundary=b", b"x", "its boundary is not in it"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n", "last boundary is missing"),
        ("multipart/form-data; boundary=b", b"--b\r\nx\r\n--b--", "a part has no head"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--",
            "a part has no name",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n'
            b"Content-Type: text/plain; charset=klingon\r\n\r\nx\r\n--b--",
            "charset is unknown",
        ),
        ("application/x-www-form-urlencoded", b"\xff", "is no form"),
    ],
)
def test_what_is_no_form_says_why(kind: str, body: bytes, said: str) -> None:
    with pytest.raises(InvalidArguments, match=said):
        parse_form(kind, body)


def test_a_form_of_too_many_fields_is_refused() -> None:
    many = [("a", "")] * (knobs.MAX_FORM_FIELDS + 1)
    with pytest.raises(InvalidArguments):
        parse_form("application/x-www-form-urlencoded", urlencode(many).encode())
    with pytest.raises(InvalidArguments, match="more than"):
        sent_by_httpx(many, [])
