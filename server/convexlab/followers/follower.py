"""The contract of a derived index: it follows the log, and answers as of a timestamp.

A columnar copy, a text index and a vector index are one thing seen three times:
they begin with the documents that are there, take in commit after commit, know
how far they have come (the watermark), and start again from their own files, or
from nothing. What they are asked is theirs alone, bytes in and bytes out; what
they have in common is here, and `following` drives it.

Invariants
    F1  Everything committed at or before `watermark` is in, and nothing later.
    F2  An answer as of `at` is the one that the documents as of `at` give, also
        when the watermark is beyond it; or it is refused (`OutOfRetention`).
    F3  After a crash a follower is as of some watermark that it had, whole, or it
        begins with nothing: what its files say is never half of a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from convexlab.engine.catalog import Catalog
    from convexlab.engine.table import TableInfo
    from convexlab.engine.timestamp import Timestamp
    from convexlab.engine.write_set import Revision


class Damaged(Exception):
    """A follower's files are not what it wrote: it must not go on with them."""


class Change(NamedTuple):
    """One document's step, as a commit made it.

    N.B. there is one for each document of a run, and tuples are made the fastest.

    Attributes:
        ts: the commit's.
        table: the table's number.
        id: the internal id.
        previous_ts: of the revision that it replaced; 0: the document was new.
        revision: what it became; None: it was deleted.
        place: its key in `by_creation_time`, which never changes.
        previous: the revision that it replaced, where the follower `Folds` its table.
    """

    ts: Timestamp
    table: int
    id: bytes
    previous_ts: int
    revision: Revision | None
    place: bytes
    previous: Revision | None = None


class Follower(Protocol):
    """One derived index of a deployment, of all tables that it cares for.

    `learn`, `take`, `apply` and `checkpoint` are called by one thread, `answer` by
    any, at any time.
    """

    @property
    def name(self) -> str:
        """What it is called in status and errors: `columnar`, `text`, `vector`."""

    @property
    def watermark(self) -> Timestamp:
        """Everything committed up to here is in; 0: nothing is."""

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        """Take in the tables and indexes there are; called before what follows them.

        Returns:
            The tables whose documents it must be given from the beginning.
        """

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """Take in some documents of a table that `learn` asked for.

        They are given as of the watermark, or, when it is 0, as of one moment that
        the `apply` that follows names.
        """

    def took(self, table: TableInfo) -> None:
        """All documents of the table have been given."""

    def apply(self, changes: Sequence[Change], to: Timestamp) -> None:
        """Take in commits in their order; the watermark becomes `to`."""

    def forget(self) -> None:
        """Begin again with nothing: the log no longer reaches back to the watermark."""

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """Answer a request as of a timestamp at or before the watermark (F2).

        Raises:
            OutOfRetention: what the documents were then is not kept here.
            Damaged: it is to be begun anew.
            ConvexlabError: the request is at fault, in its own words.
        """

    def checkpoint(self) -> None:
        """Put to rest what a start after a crash should not have to do again."""

    def status(self) -> dict[str, object]:
        """What people may want to know: tables, rows, bytes."""

    def close(self) -> None:
        """Checkpoint and let go of the files."""


@runtime_checkable
class Folds(Protocol):
    """A follower that folds changes of some tables, so wants to know what they replace."""

    @property
    def folded_tables(self) -> Collection[int]:
        """The tables' numbers."""


@runtime_checkable
class GoesOn(Protocol):
    """A follower that takes in commits also while a table is walked, between two slices.

    So what it has is current meanwhile. Documents are given as of the watermark, which
    moves: `apply` then tells of some before they are given, and of others after that.
    """

    def is_filling(self, request: bytes) -> bool:
        """Whether a request is about what has not been given all documents."""


@runtime_checkable
class Idles(Protocol):
    """A follower that has something to do while there are no commits."""

    def idle(self, is_wanted: Callable[[], bool]) -> None:
        """Do it, behind `checkpoint`, by the same thread.

        Args:
            is_wanted: whether commits have come meanwhile: then it ends soon.
        """


@runtime_checkable
class WorksBeside(Protocol):
    """A follower that works on a thread of its own, beside the one that follows.

    Attributes:
        done: told when there is something to put to rest that came of no commit; *set
            by* who keeps the follower.
    """

    done: Callable[[], None]


@runtime_checkable
class Inspects(Protocol):
    """A follower that looks at its files as it is opened.

    Attributes:
        damage: why it did not go on with them, but began with nothing; "": it did.
    """

    damage: str


@runtime_checkable
class Keeps(Protocol):
    """A follower that keeps something of its answers for who asks again."""

    def let_go(self) -> None:
        """Drop what nobody has asked about lately; by the thread that follows."""
