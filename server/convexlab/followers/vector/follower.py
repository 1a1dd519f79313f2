"""The follower `vector`: all vector indexes of a deployment's schema.

How they follow is `SchemaIndexes`; here is how they are asked, and kept fit. New lists
are cut on a thread of their own, since that takes from seconds to minutes; until they are
there the old ones answer.
"""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.errors import FollowerBehind
from convexlab.followers.schema_indexes import SchemaIndexes
from convexlab.followers.vector import resting
from convexlab.followers.vector.answers import answer_of, directions
from convexlab.followers.vector.index import VectorIndex
from convexlab.followers.vector.request import (
    NAME,
    Definition,
    decode_request,
    definition_of,
    encode_answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convexlab.documents.schema import TableDefinition
    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.schema_indexes import Key
    from convexlab.followers.vector.lists import Vectors as Numbers
    from convexlab.followers.vector.request import VectorRequest
    from convexlab.followers.versions import Slots


def on_a_thread(work: Callable[[], None]) -> None:
    """Have something done meanwhile."""
    threading.Thread(target=work, name="vector lists", daemon=True).start()


def at_once(work: Callable[[], None]) -> None:
    """Have something done before going on: for tests."""
    work()


def _nothing() -> None:
    """Nobody is to be told."""


class Vectors(SchemaIndexes[VectorIndex]):
    """See the module.

    Args:
        folder: of its files, made when first needed; None keeps all in memory.
        start: has the cutting of new lists done.

    Attributes:
        done: see `WorksBeside`: new lists are there.
    """

    name = NAME

    def __init__(
        self,
        folder: Path | None,
        *,
        start: Callable[[Callable[[], None]], None] = on_a_thread,
    ) -> None:
        self._start = start
        self.done: Callable[[], None] = _nothing
        super().__init__(folder)

    def definitions(self, table: TableDefinition) -> dict[str, object]:
        """See `SchemaIndexes`."""
        return {index.name: definition_of(index) for index in table.vector_indexes}

    def new_index(self, definition: object) -> VectorIndex:
        """See `SchemaIndexes`."""
        assert isinstance(definition, Definition), definition
        return VectorIndex(definition)

    def tend(self, index: VectorIndex) -> None:
        """Forget what is past, and cut lists where they no longer suit.

        One that is searched while others change is put to rest.
        """
        index.trim(self.watermark - int(knobs.VECTOR_PAST_SECONDS * 1e9))
        self._fit(index)
        if index.is_quiet and index.wants_rest:
            self.rest()

    def checkpoint(self) -> None:
        """See `Follower.checkpoint`."""
        if any(index.wants_rest for index in self.indexes.values()):
            self.rest()
        else:
            super().checkpoint()

    def _fit(self, index: VectorIndex) -> None:
        if index.wants_building:
            slots, vectors = index.begin_building()
            self._start(lambda: self._build(index, slots, vectors))

    def _build(self, index: VectorIndex, slots: Slots, vectors: Numbers) -> None:
        try:
            index.build(slots, vectors)
        except Exception:  # noqa: BLE001 - the old lists go on; the next commit tries again
            traceback.print_exc()
        self.done()

    def load(self, folder: Path) -> tuple[int, dict[Key, VectorIndex]]:
        """See `SchemaIndexes`; lists that no longer suit are cut anew."""
        watermark, indexes = resting.load(folder)
        for index in indexes.values():
            self._fit(index)
        return watermark, indexes

    def save(self, folder: Path) -> None:
        """See `SchemaIndexes`."""
        resting.save(folder, self.watermark, self.indexes)

    def discard(self, folder: Path) -> None:
        """See `SchemaIndexes`."""
        resting.discard(folder)

    # -- answering ----------------------------------------------------------------------

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """See `Follower.answer`: a VectorRequest is answered with a VectorAnswer."""
        asked = decode_request(request)
        vectors, index = directions(asked), self._index_for(asked)
        until = self.watermark  # N.B. before: the next may be coming in
        rested = index.rested(until)
        found = index.nearest_to_each(vectors, asked.limit, asked.filters, at)
        could_be_near = rested is None and asked.filters is None
        if could_be_near and index.was_asked(asked.searches):
            self.done()
        return encode_answer(answer_of(found, rested))

    def is_filling(self, request: bytes) -> bool:
        """See `GoesOn`."""
        asked = decode_request(request)
        index = self._filling.get((asked.table, asked.index))
        return index is not None and index.definition == asked.definition

    def _index_for(self, asked: VectorRequest) -> VectorIndex:
        index = self.indexes.get((asked.table, asked.index))
        if index is None or index.definition != asked.definition:
            raise FollowerBehind(
                f"Vector index `{asked.index}` has just been pushed anew. Try again."
            )
        return index
