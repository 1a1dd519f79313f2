"""A text index at rest, as another process than the keeper has it: see `followers.rested`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from convexlab.followers.text.ranking import Ranking
from convexlab.followers.text.searched import SearchedIndex

if TYPE_CHECKING:
    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.text.postings import View
    from convexlab.followers.text.request import Definition, TextAnswer, TextRequest
    from convexlab.followers.versions import Versions


class RestedTexts(SearchedIndex):
    """See the module; it is `followers.rested.Searched`.

    Args:
        definition: what it is made of.
        versions: whose texts they are.
        view: what Tantivy has.
        changed_ts: the newest commit that changed what it holds.
    """

    def __init__(
        self, definition: Definition, versions: Versions, view: View, changed_ts: int
    ) -> None:
        super().__init__(definition, versions)
        self._view = view
        self.changed_ts = changed_ts
        self._leave_out_gone()

    @property
    def view(self) -> View:
        """See `SearchedIndex`."""
        return self._view

    def _leave_out_gone(self) -> None:
        """N.B. Tantivy does not have all that ended: some never came there."""
        versions = self.versions
        if versions.dead:
            ended = versions.ended_by(self.changed_ts).tolist()
            there = self._view.words_at(ended)
            self.gone = Counter(word for words in there.values() for word in set(words))
            versions.dead = len(there)

    def answer(self, asked: TextRequest, at: Timestamp) -> TextAnswer:
        """The documents that match best, best first."""
        return Ranking(self, asked, at).best()
