"""What actions are told of their vector searches, whichever kind they are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.functions.processes.keepers import Keeper
from tests.functions.test_vector_search import searched_lab

from convexlab.documents.encoding import from_stored
from convexlab.documents.ids import decode_id
from convexlab.errors import NotFound
from convexlab.followers.vector.request import (
    VectorAnswer,
    decode_request,
    encode_answer,
)
from convexlab.functions import vector_search
from convexlab.functions.processes.keeper_link import Told, send_frame
from convexlab.functions.processes.runner_searches import AwaitedSearches, PlainSearches

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from convexlab.functions.processes.keeper_link import Question

IDS = [bytes([n]) * 16 for n in (1, 2)]


class Code:
    """What is deployed: a table with a vector index.

    Args:
        folder: the deployment's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lab = searched_lab()

    def searched(self, body: bytes) -> Any:
        tx = self._lab.committer.begin(writable=False)
        return vector_search.sought(tx, lambda *_: b"", body), tx.snapshot.ts


def nearest(connection: socket.socket, question: Question) -> None:
    """A keeper that knows of two documents."""
    asked = decode_request(question.request)
    assert asked.limit == 7
    scores = b"\0\0\x80\x3f\0\0\0\x3f"
    found = encode_answer(VectorAnswer(b"".join(IDS), scores))
    send_frame(connection, msgspec.msgpack.encode(Told(found)))


@pytest.mark.parametrize("kind", ["async def", "def"])
async def test_an_action_gets_ids_and_scores_or_what_is_wrong(
    tmp_path: Path, kind: str
):
    keeper, code = Keeper(tmp_path, [nearest]), Code(tmp_path)
    searches: Any = (AwaitedSearches if kind == "async def" else PlainSearches)(code)  # type: ignore[arg-type]  # as much of it as is used

    async def found(index: str) -> Any:
        body = vector_search.asked("docs", index, [1.0, 0.5], 7, None)
        if kind == "async def":
            return from_stored(await searches.answer(body))
        return from_stored(await asyncio.to_thread(searches.answer, body))

    for _ in range(2):
        hits = await found("near")
        assert [decode_id(hit["_id"])[1] for hit in hits] == IDS
        assert [hit["_score"] for hit in hits] == [1.0, 0.5]
    with pytest.raises(NotFound, match=r"docs\.far not found"):
        await found("far")
    searches.close()
    await asyncio.sleep(0)
    await asyncio.to_thread(keeper.close)
