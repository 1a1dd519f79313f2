"""What the mirror answers, by the kind of the request."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.columnar.profiles import Profiles
from convexlab.followers.columnar.scans import answer_documents, answer_groups
from convexlab.followers.columnar.sql import answer_sql
from convexlab.followers.columnar.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convexlab.followers.columnar.reading import Reading

ANSWERS: Final[dict[str, Callable[[Reading, bytes], bytes]]] = {
    "sql": answer_sql,
    "documents": answer_documents,
    "groups": answer_groups,
}


def answering_mirror(path: Path | None) -> Mirror:
    """A mirror that answers all of them, and keeps something of what it has answered.

    Args:
        path: of its file; None keeps it in memory.
    """
    windows = Windows()
    handlers = ANSWERS | {
        "sql": partial(answer_sql, profiles=Profiles()),
        "window": windows.answer,
    }
    return Mirror(path, handlers, let_go=windows.let_go)
