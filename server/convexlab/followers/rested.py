"""An index at rest, which another process than the keeper looks at.

It is as of the keeper's files, and does not change. Whether it still is as the
documents are, the keeper says with each answer (`Rested`); so it is searched for the
timestamps of which that has been said, and for no others.

N.B. this is read by function processes, which do not load what searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.files import FoundFile, MappedFile


class Rested(msgspec.Struct, frozen=True, array_like=True):
    """Files that have an index as an answer found it.

    Attributes:
        name: of the state that they have; whatever else the index becomes has another.
        until: nothing of the index has changed up to this timestamp.
        commit: the same state may come to lie in other files; then this is another, too.
    """

    name: str
    until: int
    commit: int = 0


class Asked(Protocol):
    """A search of one index."""

    @property
    def table(self) -> int:
        """The table's number."""

    @property
    def index(self) -> str:
        """The index's name."""

    @property
    def definition(self) -> object:
        """Of the index, as the asker knows it."""


class Said(Protocol):
    """What is found."""

    @property
    def rested(self) -> Rested | None:
        """Where the asker may look by itself."""


A = TypeVar("A", bound=Asked)
S = TypeVar("S", bound=Said)
A_contra = TypeVar("A_contra", bound=Asked, contravariant=True)
S_co = TypeVar("S_co", bound=Said, covariant=True)


class Searched(Protocol[A_contra, S_co]):
    """What answers, as of its files."""

    @property
    def definition(self) -> object:
        """What it is made of."""

    def answer(self, asked: A_contra, at: Timestamp) -> S_co:
        """What is found as of a moment."""


class RestedIndex(Generic[A, S]):
    """See the module.

    Args:
        index: answers.
        since: from when on it is as the documents are.
        rested: what the keeper said of it.
        files: that it is made of.

    Attributes:
        bytes: what its files take.
        until: up to which timestamp nothing of it has changed.
        ask_again: when the keeper is to be asked, on the clock of who looks.
        check_again: when its files are to be looked at, likewise.
    """

    def __init__(
        self,
        index: Searched[A, S],
        *,
        since: int,
        rested: Rested,
        files: Sequence[MappedFile | FoundFile],
    ) -> None:
        self.index = index
        self.rested = rested
        self.bytes = sum(file.size for file in files)
        self.until = rested.until
        self.ask_again = self.check_again = 0.0
        self._since = since
        self._files = files

    @property
    def is_intact(self) -> bool:
        """Whether nobody has written into its files."""
        return all(file.is_intact for file in self._files)

    def has(self, asked: A, at: int) -> bool:
        """Whether this is what is searched, as it was at a moment."""
        return (
            self._since <= at <= self.until
            and asked.definition == self.index.definition
        )

    def heed(self, rested: Rested) -> bool:
        """What the keeper says now; False: of an index that is another by now."""
        if rested.name != self.rested.name:
            return False
        self.until = max(self.until, rested.until)
        return True
