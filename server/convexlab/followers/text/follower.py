"""The follower `text`: all search indexes of a deployment's schema.

How they follow is `SchemaIndexes`; here is how they are asked, and kept fit.
"""

from __future__ import annotations

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
    decode_request,
    definition_of,
    encode_answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from convexlab.documents.schema import TableDefinition
    from convexlab.engine.catalog import TableInfo
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import Revision
    from convexlab.followers.schema_indexes import Key
    from convexlab.followers.text.request import TextRequest


class Texts(SchemaIndexes[TextIndex]):
    """See the module."""

    name = NAME

    def definitions(self, table: TableDefinition) -> dict[str, object]:
        """See `SchemaIndexes`."""
        return {index.name: definition_of(index) for index in table.search_indexes}

    def new_index(self, definition: object) -> TextIndex:
        """See `SchemaIndexes`."""
        assert isinstance(definition, Definition), definition
        home = None if self._folder is None else resting.new_folder(self._folder)
        return TextIndex(definition, Postings(home, len(definition.filter_fields)))

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """See `Follower.take`: nobody asks yet, so Tantivy commits once, at the end."""
        for index in self._filled_from(table):
            index.fill((each.id, each.ts, each) for each in revisions)

    def took(self, table: TableInfo) -> None:
        """See `Follower.took`."""
        for index in self._filled_from(table):
            index.filled()
        super().took(table)

    def tend(self, index: TextIndex) -> None:
        """Forget what is past."""
        if index.has_much_past:
            self.rest()  # N.B. before: see `TextIndex.trim`
            index.trim(self.watermark - int(knobs.TEXT_PAST_SECONDS * 1e9))

    def idle(self, is_wanted: Callable[[], bool]) -> None:
        """See `Idles`: small segments become one."""
        for index in self.indexes.values():
            if not is_wanted():
                index.gather(is_wanted)

    def load(self, folder: Path) -> tuple[int, dict[Key, TextIndex]]:
        """See `SchemaIndexes`."""
        return resting.load(folder)

    def save(self, folder: Path) -> None:
        """See `SchemaIndexes`."""
        resting.save(folder, self.watermark, self.indexes)

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
            index.postings.close()

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """See `Follower.answer`: a TextRequest is answered with a TextAnswer."""
        asked = decode_request(request)
        index = self._index_for(asked)
        with index.lock.reading():
            index.check_at(at)
            found = Ranking(index, asked, at).best()
        return encode_answer(found)

    def _index_for(self, asked: TextRequest) -> TextIndex:
        index = self.indexes.get((asked.table, asked.index))
        if index is None or index.definition != asked.definition:
            raise FollowerBehind(
                f"Search index `{asked.index}` has just been pushed anew. Try again."
            )
        return index
