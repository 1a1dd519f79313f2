"""The request that an HTTP action is given.

Head and address are attributes. The body is read by calls, which are awaited in an
`async def` and block in a plain one, or as it comes: `async for chunk in request.body`.
Read whole, it is kept, so that it can be read again in another form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy

from convexlab.errors import InvalidArguments
from convexlab.functions.forms import Form, parse_form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from convexlab.functions.awaited_calls import AsyncCalls, Call

# `bytes` is a method here.
_Bytes: TypeAlias = bytes


class AsyncBody(Protocol):
    """A body that comes in parts."""

    async def read(self) -> _Bytes:
        """The next part; nothing at the end.

        Raises:
            CallerError: it will not come to its end.
        """


class PlainBody(Protocol):
    """A body that comes in parts, for whoever blocks."""

    def read(self) -> _Bytes:
        """The next part; nothing at the end.

        Raises:
            CallerError: it will not come to its end.
        """


class RequestHead:
    """What is known of a request before its body.

    Attributes:
        method: `GET`, `POST`, ….
        url: as the client asked for it, with query.
        path: of the url, as the client wrote it.
        headers: by name in any case; `getall` for those that come several times.
        query: the url's parameters.
    """

    def __init__(
        self, method: str, url: str, headers: Sequence[tuple[str, str]]
    ) -> None:
        parts = urlsplit(url)
        self.method = method
        self.url = url
        self.path = parts.path
        self.headers: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict(headers))
        self.query: MultiDictProxy[str] = MultiDictProxy(
            MultiDict(parse_qsl(parts.query, keep_blank_values=True))
        )
        self._whole: _Bytes | None = None
        self._is_begun = False

    def _begin(self) -> None:
        if self._is_begun:
            raise InvalidArguments(
                "The request's body is being read in parts (`request.body`) already."
            )
        self._is_begun = True

    def _json(self, body: _Bytes) -> Any:
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidArguments(f"The request's body is not JSON: {error}") from None

    def _form(self, body: _Bytes) -> Form:
        return parse_form(self.headers.get("Content-Type", ""), body)

    def __repr__(self) -> str:
        return f"<{self.method} {self.url}>"


class Request(RequestHead):
    """A request as an `async def` HTTP action gets it.

    Args:
        method, url, headers: of the request.
        body: what follows the head.
        calls: keeps count of the calls.
    """

    def __init__(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: AsyncBody,
        calls: AsyncCalls,
    ) -> None:
        super().__init__(method, url, headers)
        self._body = body
        self._calls = calls

    def bytes(self) -> Call[_Bytes]:
        """The whole body."""
        return self._calls.call("request.bytes", self._all)

    def text(self) -> Call[str]:
        """The whole body as UTF-8."""

        async def text() -> str:
            return (await self._all()).decode(errors="replace")

        return self._calls.call("request.text", text)

    def json(self) -> Call[Any]:
        """What the whole body says as JSON."""

        async def json() -> Any:
            return self._json(await self._all())

        return self._calls.call("request.json", json)

    def form(self) -> Call[Form]:
        """The fields of a form; files are `UploadedFile`s."""

        async def form() -> Form:
            return self._form(await self._all())

        return self._calls.call("request.form", form)

    @property
    def body(self) -> AsyncIterator[_Bytes]:
        """The body as it comes: `async for chunk in request.body`."""
        return self._parts()

    async def _parts(self) -> AsyncIterator[_Bytes]:
        self._begin()
        while part := await self._body.read():
            yield part

    async def _all(self) -> _Bytes:
        if self._whole is None:
            self._whole = b"".join([part async for part in self._parts()])
        return self._whole


class SyncRequest(RequestHead):
    """A request as a plain HTTP action gets it.

    Args:
        method, url, headers: of the request.
        body: what follows the head.
    """

    def __init__(
        self,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: PlainBody,
    ) -> None:
        super().__init__(method, url, headers)
        self._body = body

    def bytes(self) -> _Bytes:
        """The whole body."""
        if self._whole is None:
            self._whole = b"".join(self.body)
        return self._whole

    def text(self) -> str:
        """The whole body as UTF-8."""
        return self.bytes().decode(errors="replace")

    def json(self) -> Any:
        """What the whole body says as JSON."""
        return self._json(self.bytes())

    def form(self) -> Form:
        """The fields of a form; files are `UploadedFile`s."""
        return self._form(self.bytes())

    @property
    def body(self) -> Iterator[_Bytes]:
        """The body as it comes: `for chunk in request.body`."""
        self._begin()
        while part := self._body.read():
            yield part
