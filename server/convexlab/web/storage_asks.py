"""What actions ask of file storage, answered by the gateway.

The action's own process moves the bytes; documents and addresses are asked for here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from convexlab.functions import system_mutations
from convexlab.functions.action_storage import (
    ADD,
    DELETE,
    FIND,
    UPLOAD_URL,
    StoredFile,
)
from convexlab.functions.file_documents import internal_id_of
from convexlab.functions.processes.messages import Failure
from convexlab.web.storage import SYSTEM, find

if TYPE_CHECKING:
    from convexlab.functions.file_addresses import FileAddresses
    from convexlab.functions.processes.runners import Question
    from convexlab.sync.asks import Asks
    from convexlab.sync.gateway import Gateway


class StorageAsks:
    """The answers.

    Args:
        gateway: finds, adds and deletes documents.
        addresses: where files are served.
    """

    def __init__(self, gateway: Gateway, addresses: FileAddresses) -> None:
        self._gateway = gateway
        self._addresses = addresses

    def add_to(self, asks: Asks) -> None:
        """Answer actions."""
        asks.add(ADD, self.add)
        asks.add(FIND, self.find)
        asks.add(DELETE, self.delete)
        asks.add(UPLOAD_URL, self.upload_url)

    async def add(self, question: Question) -> bytes | Failure:
        """The bytes of a file are there: its new id."""
        args = msgspec.json.decode(question.body)
        return await self._mutate(question, system_mutations.STORE, args)

    async def find(self, question: Question) -> bytes | Failure:
        """What is known of a file, or null."""
        storage_id: str = msgspec.json.decode(question.body)["id"]
        internal_id = internal_id_of(storage_id, "get")
        found = await find(self._gateway, storage_id)
        if found is None:
            return b"null"
        url = self._addresses.of_file(internal_id)
        return msgspec.json.encode(
            StoredFile(url, found.sha256, int(found.size), found.contentType)
        )

    async def delete(self, question: Question) -> bytes | Failure:
        """Delete a file."""
        args = msgspec.json.decode(question.body)
        return await self._mutate(question, system_mutations.DELETE, args)

    async def upload_url(self, _question: Question) -> bytes | Failure:
        """A new address for uploads."""
        return msgspec.json.encode(self._addresses.of_upload(time.time() * 1000))

    async def _mutate(
        self, question: Question, path: str, args: object
    ) -> bytes | Failure:
        run = await self._gateway.mutate(
            path, msgspec.json.encode(args), SYSTEM, stored=True
        )
        question.run.committed(run.ts or 0)
        if run.error is not None:
            return Failure(run.error.message, run.error.code)
        assert run.value is not None, "a run has a value or an error"
        return run.value
