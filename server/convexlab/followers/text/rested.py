"""A text index at rest, which another process than the keeper looks at.

It is as of the keeper's files, and does not change. Whether it still is as the
documents are, the keeper says with each answer (`Rested`); so it is searched for the
timestamps of which that has been said, and for no others.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from convexlab.followers.text.ranking import Ranking
from convexlab.followers.text.searched import SearchedIndex

if TYPE_CHECKING:
    from convexlab.followers.text.postings import View
    from convexlab.followers.text.request import (
        Definition,
        Rested,
        TextAnswer,
        TextRequest,
    )
    from convexlab.followers.versions import Versions


class RestedIndex(SearchedIndex):
    """See the module.

    Args:
        definition: what it is made of.
        versions: whose texts they are.
        view: what Tantivy has.
        changed_ts: the newest commit that changed what it holds.
        rested: what the keeper said of it.

    Attributes:
        until: up to which timestamp nothing of it has changed.
        ask_again: when the keeper is to be asked, on the clock of who looks.
    """

    def __init__(
        self,
        definition: Definition,
        versions: Versions,
        view: View,
        changed_ts: int,
        rested: Rested,
    ) -> None:
        super().__init__(definition, versions)
        self._view = view
        self.changed_ts = changed_ts
        self.rested = rested
        self.until = rested.until
        self.ask_again = 0.0
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

    def has(self, asked: TextRequest, at: int) -> bool:
        """Whether this is what is searched, as it was at a moment."""
        return (
            self.changed_ts <= at <= self.until and asked.definition == self.definition
        )

    def heed(self, rested: Rested) -> bool:
        """What the keeper says now; False: of an index that is another by now."""
        if rested.watermark != self.rested.watermark:
            return False
        self.until = max(self.until, rested.until)
        return True

    def best(self, asked: TextRequest, at: int) -> TextAnswer:
        """The documents that match best, best first."""
        return Ranking(self, asked, at).best()
