"""The follower `text`: all search indexes of a deployment's schema.

How they follow is `SchemaIndexes`; here is how they are asked, and kept fit.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.errors import FollowerBehind
from convexlab.followers.schema_indexes import SchemaIndexes
from convexlab.followers.text import resting
from convexlab.followers.text.index import TextIndex
from convexlab.followers.text.postings import Postings
from convexlab.followers.text.ranking import Ranking
from convexlab.followers.text.request import (
    NAME,
    Definition,
    TextAnswer,
    decode_request,
    definition_of,
    encode_answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from convexlab.documents.schema import TableDefinition
    from convexlab.engine.catalog import Catalog
    from convexlab.engine.table import TableInfo
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import Revision
    from convexlab.followers.schema_indexes import Key, Step
    from convexlab.followers.text.request import TextRequest


class Texts(SchemaIndexes[TextIndex]):
    """See the module; it is `WorksBeside`.

    Args:
        folder: of its files, made when first needed; None keeps all in memory.
    """

    name = NAME

    def __init__(self, folder: Path | None) -> None:
        self.done: Callable[[], None] = lambda: None
        super().__init__(folder)

    def definitions(self, table: TableDefinition) -> dict[str, object]:
        """See `SchemaIndexes`."""
        return {index.name: definition_of(index) for index in table.search_indexes}

    def new_index(self, definition: object) -> TextIndex:
        """See `SchemaIndexes`."""
        assert isinstance(definition, Definition), definition
        home = None if self._folder is None else resting.new_folder(self._folder)
        return TextIndex(definition, Postings(home, len(definition.filter_fields)))

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        """See `Follower.learn`."""
        before = self.indexes
        tables = super().learn(catalog)
        for key in before.keys() - self.indexes.keys():
            before[key].gathering.end()
        return tables

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """See `Follower.take`: nobody asks yet, so Tantivy commits once, at the end."""
        for index in self._filled_from(table):
            index.fill((each.id, each.ts, each) for each in revisions)

    def fill_on(self, index: TextIndex, steps: Iterable[Step]) -> None:
        """See `SchemaIndexes`; what it was given is shown first, since it may change."""
        index.filled()
        index.apply(steps)

    def took(self, table: TableInfo) -> None:
        """See `Follower.took`."""
        for index in self._filled_from(table):
            index.filled()
        super().took(table)

    def tend(self, index: TextIndex) -> None:
        """Forget what is past; put to rest what is searched while others change."""
        if index.has_much_past:
            self.rest()  # N.B. before: see `TextIndex.trim`
            index.trim(self.watermark - int(knobs.TEXT_PAST_SECONDS * 1e9))
        is_quiet = monotonic() - index.changed_at > knobs.FOLLOWER_IDLE_SECONDS
        if is_quiet and index.wants_rest:
            self.rest()
            index.gathering.begin()

    def checkpoint(self) -> None:
        """See `Follower.checkpoint`."""
        if any(index.wants_rest for index in self.indexes.values()):
            self.rest()
        else:
            super().checkpoint()

    def idle(self, is_wanted: Callable[[], bool]) -> None:
        """See `Idles`: small segments become one, meanwhile."""
        if not is_wanted():
            for index in self.indexes.values():
                index.gathering.begin()

    def load(self, folder: Path) -> tuple[int, dict[Key, TextIndex]]:
        """See `SchemaIndexes`."""
        return resting.load(folder)

    def save(self, folder: Path) -> None:
        """See `SchemaIndexes`."""
        resting.save(folder, self.watermark, self.indexes, self._filling.values())

    def discard(self, folder: Path) -> None:
        """See `SchemaIndexes`."""
        resting.discard(folder)

    def forget(self) -> None:
        """See `Follower.forget`."""
        self._let_go()  # N.B. before its folders go: merges write into them
        super().forget()

    def close(self) -> None:
        """See `Follower.close`."""
        super().close()
        self._let_go()

    def _let_go(self) -> None:
        for index in (*self.indexes.values(), *self._filling.values()):
            index.close()

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """See `Follower.answer`: a TextRequest is answered with a TextAnswer."""
        asked = decode_request(request)
        index = self._index_for(asked)
        until = self.watermark  # N.B. before: the next may be coming in
        with index.lock.reading():
            index.check_at(at)
            found = Ranking(index, asked, at).best()
            rested = index.rested(until) if index.rested_ts else None
        if rested is not None:
            found = TextAnswer(found.ids, found.scores, rested)
        elif index.was_asked():
            self.done()
        return encode_answer(found)

    def is_filling(self, request: bytes) -> bool:
        """See `GoesOn`."""
        asked = decode_request(request)
        index = self._filling.get((asked.table, asked.index))
        return index is not None and index.definition == asked.definition

    def _index_for(self, asked: TextRequest) -> TextIndex:
        index = self.indexes.get((asked.table, asked.index))
        if index is None or index.definition != asked.definition:
            raise FollowerBehind(
                f"Search index `{asked.index}` has just been pushed anew. Try again."
            )
        return index
