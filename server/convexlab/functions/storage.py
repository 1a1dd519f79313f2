"""`ctx.storage` in queries and mutations: files by their ids, part of the transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from convexlab.errors import NotAllowed
from convexlab.functions import file_documents

if TYPE_CHECKING:
    from convexlab.functions.execution import Execution
    from convexlab.functions.file_documents import FileInfo


class StorageReader:
    """`ctx.storage` in a query."""

    __slots__ = ("_execution",)

    def __init__(self, execution: Execution) -> None:
        self._execution = execution

    def get_url(self, storage_id: str, /) -> str | None:
        """The address where a file is served; None if there is no such file.

        Whoever has the address can read the file; deleting the file ends it.
        """
        execution = self._execution
        execution.leave()
        try:
            found = file_documents.find(execution.tx, storage_id, "get_url")
            if found is None:
                return None
            return execution.addresses.of_file(found.internal_id)
        finally:
            execution.enter()

    def get_metadata(self, storage_id: str, /) -> dict[str, Any] | None:
        """What is known of a file; None if there is no such file.

        Returns:
            `storageId`, `sha256` (hexadecimal), `size` in bytes and `contentType`,
            which is None if the upload did not say.
        """
        execution = self._execution
        execution.leave()
        try:
            found = file_documents.find(execution.tx, storage_id, "get_metadata")
            return None if found is None else metadata_of(found)
        finally:
            execution.enter()

    def __getattr__(self, name: str) -> NoReturn:
        raise (
            NotAllowed(_ELSEWHERE[name])
            if name in _ELSEWHERE
            else AttributeError(f"`ctx.storage` has no `{name}`", name=name, obj=self)
        )


class StorageWriter(StorageReader):
    """`ctx.storage` in a mutation."""

    __slots__ = ()

    def generate_upload_url(self) -> str:
        """An address where a client may `POST` a file, for an hour.

        The answer to the upload is `{"storageId": …}`: have the client pass it to a
        mutation that keeps it.
        """
        execution = self._execution
        execution.leave()
        try:
            return execution.addresses.of_upload(execution.run.read_clock())
        finally:
            execution.enter()

    def delete(self, storage_id: str, /) -> None:
        """Deletes a file, with the transaction: its address ends.

        Raises:
            StorageIdNotFound: there is no such file.
        """
        execution = self._execution
        execution.leave()
        try:
            file_documents.delete(execution.tx, storage_id)
        finally:
            execution.enter()


def metadata_of(found: FileInfo) -> dict[str, Any]:
    """What `get_metadata` says of a file."""
    return {
        "storageId": found.document_id,
        "sha256": found.sha256.hex(),
        "size": float(found.size),
        "contentType": found.content_type,
    }


_ELSEWHERE = {
    "generate_upload_url": "`ctx.storage.generate_upload_url`: queries only read. Make the function a mutation.",
    "delete": "`ctx.storage.delete`: queries only read. Make the function a mutation.",
    "store": "`ctx.storage.store`: only actions read and write a file's bytes.",
    "get": "`ctx.storage.get`: only actions read and write a file's bytes. `get_url` gives its address.",
}
