"""The follower `vector`: all vector indexes of a deployment's schema.

    learn      an index per definition of the schema; new ones are filled, others dropped
    take       a table's documents into its new indexes, apply: changes into all
    answer     the documents nearest to a vector, as of a moment

New lists are cut on a thread of their own, since that takes from seconds to minutes;
until they are there the old ones answer.
"""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING

import numpy as np

from convexlab import knobs
from convexlab.engine.timestamp import BEGINNING, Timestamp
from convexlab.errors import FollowerBehind, InvalidArguments
from convexlab.followers.vector import resting
from convexlab.followers.vector.index import VectorIndex
from convexlab.followers.vector.request import (
    NAME,
    VectorAnswer,
    decode_request,
    definition_of,
    encode_answer,
)
from convexlab.followers.vector.units import normalized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from convexlab.engine.catalog import Catalog, TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Change
    from convexlab.followers.vector.lists import Vectors as Numbers
    from convexlab.followers.vector.request import Definition, VectorRequest
    from convexlab.followers.vector.resting import Key
    from convexlab.followers.vector.versions import Slots


def on_a_thread(work: Callable[[], None]) -> None:
    """Have something done meanwhile."""
    threading.Thread(target=work, name="vector lists", daemon=True).start()


def at_once(work: Callable[[], None]) -> None:
    """Have something done before going on: for tests."""
    work()


class Vectors:
    """See the module.

    Args:
        folder: of its files, made when first needed; None keeps all in memory.
        start: has the cutting of new lists done.
    """

    name = NAME

    def __init__(
        self,
        folder: Path | None,
        *,
        start: Callable[[Callable[[], None]], None] = on_a_thread,
    ) -> None:
        self.watermark: Timestamp = BEGINNING
        self.indexes: dict[Key, VectorIndex] = {}
        self._names: dict[int, str] = {}
        self._filling: dict[Key, VectorIndex] = {}
        self._folder = folder
        self._start = start
        self._saved_ts = 0
        # Whether an index came or went since; its files are worth writing anew.
        self._is_other = False
        self._open()

    def _open(self) -> None:
        if self._folder is None:
            return
        try:
            watermark, self.indexes = resting.load(self._folder)
            self.watermark = Timestamp(watermark)
            self._saved_ts = watermark
        except FileNotFoundError:
            resting.discard(self._folder)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it can be made again
            traceback.print_exc()
            resting.discard(self._folder)

    # -- following ------------------------------------------------------------------

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        """See `Follower.learn`."""
        tables: dict[int, TableInfo] = {
            table.number: table for table in catalog.user_tables()
        }
        self._names = {number: table.name for number, table in tables.items()}
        wanted = dict(_definitions(catalog))
        kept = {
            key: index
            for key, index in self.indexes.items()
            if wanted.get(key) == index.definition
        }
        self._filling = {
            key: VectorIndex(definition)
            for key, definition in wanted.items()
            if key not in kept
        }
        self._is_other |= kept.keys() != self.indexes.keys() or bool(self._filling)
        self.indexes = kept
        return [tables[number] for number in {number for number, _ in self._filling}]

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """See `Follower.take`."""
        steps = [(revision.id, revision.ts, revision) for revision in revisions]
        for index in self._filled_from(table):
            index.apply(steps)

    def took(self, table: TableInfo) -> None:
        """See `Follower.took`."""
        for index in self._filled_from(table):
            index.exact_from = self.watermark
        done = {key for key in self._filling if key[0] == table.number}
        self.indexes |= {key: self._filling.pop(key) for key in done}

    def _filled_from(self, table: TableInfo) -> list[VectorIndex]:
        return [
            index
            for (number, _), index in self._filling.items()
            if number == table.number
        ]

    def apply(self, changes: Sequence[Change], to: Timestamp) -> None:
        """See `Follower.apply`."""
        for (number, _), index in self.indexes.items():
            steps = [(c.id, c.ts, c.revision) for c in changes if c.table == number]
            if steps:
                index.apply(steps)
            if self.watermark == BEGINNING:
                index.exact_from = to
            index.trim(to - int(knobs.VECTOR_PAST_SECONDS * 1e9))
            if index.wants_building:
                slots, vectors = index.begin_building()
                self._start(_building(index, slots, vectors))
        self.watermark = to

    def forget(self) -> None:
        """See `Follower.forget`."""
        self.watermark = BEGINNING
        self.indexes, self._filling = {}, {}
        if self._folder is not None:
            resting.discard(self._folder)

    # -- at rest ----------------------------------------------------------------------

    def checkpoint(self) -> None:
        """See `Follower.checkpoint`; written when it is worth the while."""
        if self._folder is None or self.watermark in (BEGINNING, self._saved_ts):
            return
        if (
            self._is_other
            or self._is_old()
            or any(map(_has_changed, self.indexes.values()))
        ):
            resting.save(self._folder, self.watermark, self.indexes)
            for index in self.indexes.values():
                index.changes = 0
            self._saved_ts, self._is_other = self.watermark, False

    def _is_old(self) -> bool:
        return self.watermark - self._saved_ts > knobs.VECTOR_SAVE_SECONDS * 1e9

    def close(self) -> None:
        """See `Follower.close`."""
        self.checkpoint()

    def status(self) -> dict[str, object]:
        """See `Follower.status`."""
        indexes: list[dict[str, object]] = [
            {"table": self._names.get(number), "index": name, **index.status()}
            for (number, name), index in self.indexes.items()
        ]
        on_disk = resting.size(self._folder) if self._folder is not None else 0
        return {"indexes": indexes, "bytes": on_disk}

    # -- answering ----------------------------------------------------------------------

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """See `Follower.answer`: a VectorRequest is answered with a VectorAnswer."""
        asked = decode_request(request)
        vector = normalized(np.frombuffer(asked.vector, "<f4"))
        if vector is None:
            raise InvalidArguments("The vector has a NaN or an infinity in it.")
        ids, scores = self._index_for(asked).nearest(
            vector, asked.limit, asked.filters, at
        )
        return encode_answer(VectorAnswer(b"".join(ids), scores.tobytes()))

    def _index_for(self, asked: VectorRequest) -> VectorIndex:
        index = self.indexes.get((asked.table, asked.index))
        if index is None or index.definition != asked.definition:
            raise FollowerBehind(
                f"Vector index `{asked.index}` has just been pushed anew. Try again."
            )
        return index


def _definitions(catalog: Catalog) -> Iterator[tuple[Key, Definition]]:
    """Every vector index of the active schema, staged ones included."""
    if catalog.schema is None:
        return
    for table in catalog.user_tables():
        described = catalog.schema.tables.get(table.name)
        if described is not None:
            for index in described.vector_indexes:
                yield (table.number, index.name), definition_of(index)


def _building(index: VectorIndex, slots: Slots, vectors: Numbers) -> Callable[[], None]:
    def build() -> None:
        try:
            index.build(slots, vectors)
        except Exception:  # noqa: BLE001 - the old lists go on; the next commit tries again
            traceback.print_exc()

    return build


def _has_changed(index: VectorIndex) -> bool:
    return index.changes * knobs.VECTOR_SAVE_SHARE > index.versions.live
