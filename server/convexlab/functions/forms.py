"""Forms: what a browser sends when a form is submitted, from a whole body.

Two encodings, told apart by the content type: `application/x-www-form-urlencoded`, and
`multipart/form-data` (RFC 7578), which also carries files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import HTTP
from email.utils import collapse_rfc2231_value
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qsl

from multidict import MultiDict, MultiDictProxy

from convexlab import knobs
from convexlab.errors import InvalidArguments

if TYPE_CHECKING:
    from collections.abc import Iterator

_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
# Stands for a backslash that is escaped by one: `email` takes the second of the two for
# one that escapes what follows, such as the quote that ends a name.
_BACKSLASH: Final = "\0"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file of a form.

    Attributes:
        filename: as the client names it; not to be trusted as a path.
        content_type: as the client says it.
        data: what is in it.
    """

    filename: str
    content_type: str
    data: bytes


FormValue: TypeAlias = str | UploadedFile
Form: TypeAlias = "MultiDictProxy[FormValue]"


def parse_form(content_type: str, body: bytes) -> Form:
    """The fields of a form, in order; a field may come several times.

    Args:
        content_type: the request's header.
        body: all of it.

    Raises:
        InvalidArguments: another content type, or a body that is no form.
    """
    header = EmailMessage()
    header["content-type"] = content_type
    kind = header.get_content_type()
    if kind == _URLENCODED:
        return _parse_urlencoded(body)
    if kind == _MULTIPART:
        boundary = header.get_param("boundary")
        if not isinstance(boundary, str) or not boundary:
            raise InvalidArguments(f"The form names no boundary: {content_type!r}.")
        parts = _parts(body, boundary.encode("utf-8", "surrogateescape"))
        return MultiDictProxy(MultiDict(_field(*part) for part in parts))
    raise InvalidArguments(
        f"The request's content type is {content_type!r}; a form's is {_URLENCODED} "
        f"or {_MULTIPART}."
    )


def _parse_urlencoded(body: bytes) -> Form:
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=knobs.MAX_FORM_FIELDS
        )
    except ValueError as error:
        raise InvalidArguments(f"The body is no form: {error}") from None
    return MultiDictProxy(MultiDict(fields))


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Head and content of each part, between lines that begin with the boundary."""
    line = re.compile(
        rb"(?:^|\r\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r\n|$)"
    )
    found = line.search(body)
    if found is None:
        raise InvalidArguments("The body is no form: its boundary is not in it.")
    for _ in range(knobs.MAX_FORM_FIELDS):
        if found[1]:
            return
        # N.B. the line break before a boundary may be the one after the last.
        following = line.search(body, found.end() - 2)
        if following is None:
            raise InvalidArguments("The body is no form: its last boundary is missing.")
        head, gap, content = body[found.end() : following.start()].partition(
            b"\r\n\r\n"
        )
        if not gap:
            raise InvalidArguments("The body is no form: a part has no head.")
        yield head, content
        found = following
    raise InvalidArguments(f"The form has more than {knobs.MAX_FORM_FIELDS} fields.")


def _field(head: bytes, content: bytes) -> tuple[str, FormValue]:
    head = head.replace(b"\\\\", _BACKSLASH.encode())
    headers = BytesHeaderParser(policy=HTTP).parsebytes(head + b"\r\n\r\n")
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise InvalidArguments("The body is no form: a part has no name.")
    said = headers.get_param("filename", header="content-disposition")
    if said is not None:
        filename = collapse_rfc2231_value(said)
        kind = headers.get_content_type()
        return _unescaped(name), UploadedFile(_unescaped(filename), kind, content)
    charset = headers.get_content_charset("utf-8")
    try:
        return _unescaped(name), content.decode(charset, "replace")
    except LookupError:
        raise InvalidArguments(f"A part's charset is unknown: {charset!r}.") from None


def _unescaped(name: str) -> str:
    """A name as browsers escape it: what would end it, and nothing else."""
    name = name.replace(_BACKSLASH, "\\")
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
