"""File storage over HTTP: uploads in, files out, both streamed.

    POST /api/storage/upload?token=…   the bytes as they are ─▶ {"storageId": …}
    POST /api/convexlab/upload         the same, with the admin key
    GET  /api/storage/<uuid>           the bytes, or one range of them

A file is anybody's only when its upload is over: then its bytes are durable and its
document is committed. An upload that is cut leaves nothing. How the bytes are moved is
`file_bodies`' affair.

Headers and statuses are Convex's: no validators (a file never changes), a month of
private caching, one range at most.
"""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

import msgspec
from aiohttp import web

from convexlab import knobs
from convexlab.errors import ConvexlabError, FileNotFound, Sha256Mismatch
from convexlab.functions import system_mutations
from convexlab.protocol.messages import encode
from convexlab.sync.backend import Caller
from convexlab.web.cors import cors
from convexlab.web.file_bodies import Opened, receive

if TYPE_CHECKING:
    from convexlab.engine.files import Files, Sink, Stored
    from convexlab.functions.file_addresses import FileAddresses
    from convexlab.sync.gateway import Gateway
    from convexlab.web.server import Door

SYSTEM: Final = Caller(admin=True)
FIND: Final = "_system/storage/files:get"
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")


class FileInfo(msgspec.Struct, frozen=True):
    """A document of `_storage`."""

    sha256: str
    size: float
    contentType: str | None = None  # noqa: N815 - the document's


class Storage:
    """The endpoints of one deployment's files.

    Args:
        gateway: finds and adds documents.
        files: the bytes.
        addresses: which file an address stands for.
    """

    def __init__(
        self, gateway: Gateway, files: Files, addresses: FileAddresses
    ) -> None:
        self._gateway = gateway
        self._files = files
        self._addresses = addresses

    def add_to(self, door: Door) -> None:
        """Answer at the door."""

        async def owners_upload(request: web.BaseRequest) -> web.Response:
            await door.api.admin(request)
            return await self.take(request)

        door.add("POST", "/api/storage/upload", self.upload)
        door.add("POST", "/api/convexlab/upload", owners_upload)
        door.add_below("GET", "/api/storage/", self.download)

    # -- in -------------------------------------------------------------------------

    async def upload(self, request: web.BaseRequest) -> web.Response:
        """Take in one file from whoever has an upload URL.

        Raises:
            StorageTokenInvalid: the URL was not made here.
            StorageTokenExpired: it held until earlier.
            Sha256Mismatch: the bytes are not those that `Digest` speaks of.
            Unavailable: there is no room for them.
        """
        token = request.query.get("token", "")
        self._addresses.check_token(token, time.time() * 1000)
        return await self.take(request)

    async def take(self, request: web.BaseRequest) -> web.Response:
        """Take in one file; see `upload`."""
        wanted = _digest_of(request.headers.get("Digest"))
        stored = await receive(
            request.content, self._files, lambda sink: _finish(sink, wanted)
        )
        storage_id = await self._add(stored, request.headers.get("Content-Type"))
        return web.Response(
            body=encode({"storageId": storage_id}), content_type="application/json"
        )

    async def _add(self, stored: Stored, content_type: str | None) -> str:
        args = {
            "sha256": b64encode(stored.sha256).decode(),
            "size": stored.size,
            "contentType": content_type,
        }
        run = await self._gateway.mutate(
            system_mutations.STORE, msgspec.json.encode(args), SYSTEM, stored=True
        )
        if run.error is not None:
            raise ConvexlabError(run.error.message)
        assert run.value is not None, "a run has a value or an error"
        storage_id: str = msgspec.json.decode(run.value)
        return storage_id

    # -- out ------------------------------------------------------------------------

    async def download(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        """Give one file, or a part of it.

        Raises:
            InvalidStoragePath: the address ends in no UUID.
            FileNotFound: there is no such file.
        """
        info = await find(self._gateway, self._addresses.id_of(name))
        if info is None:
            raise FileNotFound(f"File {name} not found")
        size = int(info.size)
        part = _part(request.headers.get("Range"), size)
        if part is None:
            return web.Response(
                status=416, headers={"Content-Range": f"bytes */{size}"}
            )
        response = _head(info, part, size)
        response.headers.update(cors(request))  # N.B. before its head is sent
        if request.method == "HEAD":
            await response.prepare(request)
            return response
        opened = await asyncio.to_thread(self._open, b64decode(info.sha256), part)
        if opened is None:
            raise FileNotFound(f"File {name} not found")
        await opened.send(request, response)
        return response

    def _open(self, sha256: bytes, part: _Part) -> Opened | None:
        file = self._files.open_file(sha256)
        return None if file is None else Opened(file, part.start, part.end)


async def find(gateway: Gateway, storage_id: str) -> FileInfo | None:
    """A file's document, as of now; None if there is none."""
    args = msgspec.json.encode({"id": storage_id})
    found = await gateway.query(FIND, args, SYSTEM, stored=True)
    if found.value is None or found.value == b"null":
        return None
    return msgspec.json.decode(found.value, type=FileInfo)


def _finish(sink: Sink, wanted: bytes | None) -> Stored:
    """The file, if its bytes are those that were announced."""
    if wanted is not None and sink.digest() != wanted:
        raise Sha256Mismatch(
            "The file's SHA-256 is "
            f"{b64encode(sink.digest()).decode()}, but `Digest` says {b64encode(wanted).decode()}."
        )
    return sink.finish()


def _digest_of(header: str | None) -> bytes | None:
    """The SHA-256 that `Digest: sha-256=…` announces.

    Raises:
        Sha256Mismatch: it announces something else.
    """
    if header is None:
        return None
    kind, _, text = header.partition("=")
    try:
        digest = b64decode(text, validate=True)
    except ValueError:
        digest = b""
    if kind.strip().lower() != "sha-256" or len(digest) != 32:
        raise Sha256Mismatch(
            f"`Digest` is `sha-256=` and 32 bytes in base64, not {header!r}."
        )
    return digest


class _Part:
    """Some of a file's bytes: from `start` up to, but not including, `end`."""

    __slots__ = ("end", "is_whole", "start")

    def __init__(self, start: int, end: int, *, is_whole: bool) -> None:
        self.start = start
        self.end = end
        self.is_whole = is_whole


def _part(header: str | None, size: int) -> _Part | None:
    """What `Range` asks for; None if that cannot be.

    A range that cannot be read is ignored, more than one is refused.
    """
    whole = _Part(0, size, is_whole=True)
    if header is None or size == 0:
        return whole
    if header.strip().startswith("bytes=") and "," in header:
        return None
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[0] == "bytes=-":
        return whole
    first, last = found.groups()
    if first:
        start, end = int(first), min(int(last) + 1 if last else size, size)
    else:  # the last so many bytes
        start, end = max(size - int(last), 0), size
    return _Part(start, end, is_whole=False) if start < end else None


def _head(info: FileInfo, part: _Part, size: int) -> web.StreamResponse:
    headers = {
        "Cache-Control": f"private, max-age={knobs.FILE_MAX_AGE_SECONDS}",
        "Accept-Ranges": "bytes",
        "Content-Length": str(part.end - part.start),
    }
    if info.contentType is not None:
        headers["Content-Type"] = info.contentType
    if part.is_whole:
        headers["Digest"] = f"sha-256={info.sha256}"
        return web.StreamResponse(status=200, headers=headers)
    headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    return web.StreamResponse(status=206, headers=headers)
