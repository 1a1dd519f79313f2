"""`ctx.storage` in actions: files with their bytes.

Bytes go between the action's process and where files are kept, a block at a time;
the gateway is asked for what concerns documents and addresses. A stored file is
there for everybody when `store` returns.

    store: bytes ─▶ files ─▶ ask("storage.add") ─▶ id
    get:   id ─▶ ask("storage.find") ─▶ digest ─▶ files ─▶ bytes
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from typing import IO, TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from convexlab import knobs
from convexlab.errors import InvalidArguments, Sha256Mismatch
from convexlab.functions.determinism import outside

if TYPE_CHECKING:
    from convexlab.engine.files import Files, Sink, Stored
    from convexlab.functions.awaited_calls import AsyncCalls, Call, PlainAsk
    from convexlab.functions.file_documents import FileInfo

# What `store` takes: bytes, or a file opened for reading bytes.
Data: TypeAlias = "bytes | bytearray | memoryview | IO[bytes]"

# The kinds of question that actions ask about files.
ADD: Final = "storage.add"
FIND: Final = "storage.find"
DELETE: Final = "storage.delete"
UPLOAD_URL: Final = "storage.upload_url"


class StoredFile(msgspec.Struct, frozen=True):
    """What the gateway says of a file.

    Args:
        url: where it is served.
        sha256: in base64.
        size: in bytes.
        content_type: as it was uploaded.
    """

    url: str
    sha256: str
    size: int
    content_type: str | None


class NewFile(msgspec.Struct, frozen=True, rename="camel"):
    """What the gateway is told of a file whose bytes are there."""

    sha256: str
    size: int
    content_type: str | None


class AsyncStorage:
    """`ctx.storage` of an `async def` action; every call is awaited."""

    __slots__ = ("_calls", "_files")

    def __init__(self, calls: AsyncCalls, files: Files) -> None:
        self._calls = calls
        self._files = files

    def store(
        self,
        data: Data,
        /,
        *,
        content_type: str | None = None,
        sha256: str | None = None,
    ) -> Call[str]:
        """Stores a file.

        Args:
            data: bytes, or a file opened for reading bytes, read to its end.
            content_type: with which it will be served.
            sha256: its digest in base64 or hexadecimal, if it is to be checked.

        Returns:
            Its id.

        Raises:
            Sha256Mismatch: it has another digest.
            Unavailable: there is no room.
        """

        async def made() -> str:
            stored = await asyncio.to_thread(_put, self._files, data, sha256)
            body = msgspec.json.encode(_new(stored, content_type))
            return _decode(await self._calls.ask(ADD, "", body))

        return self._calls.call("ctx.storage.store", made)

    def get(self, storage_id: str, /) -> Call[bytes | None]:
        """The bytes of a file; None if there is no such file."""

        async def made() -> bytes | None:
            found = _found(await self._calls.ask(FIND, "", _id(storage_id, "get")))
            if found is None:
                return None
            return await asyncio.to_thread(_take, self._files, found)

        return self._calls.call("ctx.storage.get", made)

    def get_url(self, storage_id: str, /) -> Call[str | None]:
        """The address where a file is served; None if there is no such file."""

        async def made() -> str | None:
            found = _found(await self._calls.ask(FIND, "", _id(storage_id, "get_url")))
            return None if found is None else found.url

        return self._calls.call("ctx.storage.get_url", made)

    def get_metadata(self, storage_id: str, /) -> Call[dict[str, Any] | None]:
        """What is known of a file; None if there is no such file."""

        async def made() -> dict[str, Any] | None:
            body = _id(storage_id, "get_metadata")
            found = _found(await self._calls.ask(FIND, "", body))
            return None if found is None else _metadata(storage_id, found)

        return self._calls.call("ctx.storage.get_metadata", made)

    def generate_upload_url(self) -> Call[str]:
        """An address where a client may `POST` a file, for an hour."""

        async def made() -> str:
            return _decode(await self._calls.ask(UPLOAD_URL, "", b"{}"))

        return self._calls.call("ctx.storage.generate_upload_url", made)

    def delete(self, storage_id: str, /) -> Call[None]:
        """Deletes a file: its address ends.

        Raises:
            StorageIdNotFound: there is no such file.
        """

        async def made() -> None:
            await self._calls.ask(DELETE, "", _id(storage_id, "delete"))

        return self._calls.call("ctx.storage.delete", made)


class SyncStorage:
    """`ctx.storage` of a plain action; every call blocks."""

    __slots__ = ("_ask", "_files")

    def __init__(self, ask: PlainAsk, files: Files) -> None:
        self._ask = ask
        self._files = files

    def store(
        self,
        data: Data,
        /,
        *,
        content_type: str | None = None,
        sha256: str | None = None,
    ) -> str:
        """Stores a file; see `AsyncStorage.store`."""
        stored = _put(self._files, data, sha256)
        return _decode(
            self._ask(ADD, "", msgspec.json.encode(_new(stored, content_type)))
        )

    def get(self, storage_id: str, /) -> bytes | None:
        """The bytes of a file; None if there is no such file."""
        found = _found(self._ask(FIND, "", _id(storage_id, "get")))
        return None if found is None else _take(self._files, found)

    def get_url(self, storage_id: str, /) -> str | None:
        """The address where a file is served; None if there is no such file."""
        found = _found(self._ask(FIND, "", _id(storage_id, "get_url")))
        return None if found is None else found.url

    def get_metadata(self, storage_id: str, /) -> dict[str, Any] | None:
        """What is known of a file; None if there is no such file."""
        found = _found(self._ask(FIND, "", _id(storage_id, "get_metadata")))
        return None if found is None else _metadata(storage_id, found)

    def generate_upload_url(self) -> str:
        """An address where a client may `POST` a file, for an hour."""
        return _decode(self._ask(UPLOAD_URL, "", b"{}"))

    def delete(self, storage_id: str, /) -> None:
        """Deletes a file: its address ends."""
        self._ask(DELETE, "", _id(storage_id, "delete"))


# -- bytes ------------------------------------------------------------------------
# N.B. where files are kept may ask for keys that no function sees.


@outside()
def _put(files: Files, data: Data, sha256: str | None) -> Stored:
    sink = files.begin()
    try:
        if isinstance(data, bytes | bytearray | memoryview):
            sink.write(bytes(data))
        elif hasattr(data, "read"):
            _copy(data, sink)
        else:
            raise InvalidArguments(
                f"`ctx.storage.store` takes bytes or a file, not {data!r}."
            )
        if sha256 is not None and sink.digest() != _digest(sha256):
            raise Sha256Mismatch(
                f"The file's SHA-256 is {b64encode(sink.digest()).decode()}, not {sha256}."
            )
        return sink.finish()
    finally:
        sink.discard()


def _copy(file: IO[bytes], sink: Sink) -> None:
    while block := file.read(knobs.FILE_BLOCK_BYTES):
        if not isinstance(block, bytes):
            raise InvalidArguments(
                "`ctx.storage.store` takes a file opened for reading bytes: "
                "`open(path, 'rb')`."
            )
        sink.write(block)


def _digest(text: str) -> bytes:
    try:
        return (
            bytes.fromhex(text) if len(text) == 64 else b64decode(text, validate=True)
        )
    except ValueError:
        raise InvalidArguments(
            f"`sha256` is a digest in base64 or hexadecimal, not {text!r}."
        ) from None


@outside()
def _take(files: Files, found: StoredFile) -> bytes | None:
    file = files.open_file(b64decode(found.sha256))
    if file is None:
        return None
    with file:
        return file.read()


def described(found: FileInfo, url: str) -> StoredFile:
    """What an action is told of a file."""
    sha256 = b64encode(found.sha256).decode()
    return StoredFile(url, sha256, found.size, found.content_type)


# -- words ------------------------------------------------------------------------


def _new(stored: Stored, content_type: str | None) -> NewFile:
    return NewFile(b64encode(stored.sha256).decode(), stored.size, content_type)


def _id(storage_id: object, method: str) -> bytes:
    if not isinstance(storage_id, str):
        raise InvalidArguments(
            f'`ctx.storage.{method}` takes an Id<"_storage">, not {storage_id!r}.'
        )
    return msgspec.json.encode({"id": storage_id})


def _decode(body: bytes) -> str:
    return msgspec.json.decode(body, type=str)


def _found(body: bytes) -> StoredFile | None:
    return msgspec.json.decode(body, type=StoredFile | None)


def _metadata(storage_id: str, found: StoredFile) -> dict[str, Any]:
    return {
        "storageId": storage_id,
        "sha256": b64decode(found.sha256).hex(),
        "size": float(found.size),
        "contentType": found.content_type,
    }
