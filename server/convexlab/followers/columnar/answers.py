"""What the mirror answers, by the kind of the request."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from convexlab.followers.columnar.profiles import Profiles
from convexlab.followers.columnar.scans import answer_documents, answer_groups
from convexlab.followers.columnar.sql import answer_sql
from convexlab.followers.columnar.windows import Windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.followers.columnar.mirror import Reading

ANSWERS: Final[dict[str, Callable[[Reading, bytes], bytes]]] = {
    "sql": answer_sql,
    "documents": answer_documents,
    "groups": answer_groups,
}


def answers() -> dict[str, Callable[[Reading, bytes], bytes]]:
    """The same for one mirror, with what keeps something of its answers."""
    return {
        **ANSWERS,
        "sql": partial(answer_sql, profiles=Profiles()),
        "window": Windows().answer,
    }
