"""What DuckDB says where its file is not what it wrote, which is no statement's fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convexlab.followers.follower import Damaged

if TYPE_CHECKING:
    import duckdb

# A block's sum that is not its own, a file that ends early, and all that is asked of a
# database after one that it could not go on from.
_WORDS: Final = ("Corrupt database file", "Could not read", "has been invalidated")


def refuse_damaged(error: duckdb.Error) -> None:
    """Let the mirror be made anew where an error says that its file is damaged.

    Raises:
        Damaged: it does.
    """
    said = str(error)
    if any(words in said for words in _WORDS):
        raise Damaged(said.partition("\n")[0]) from error
