"""Names that are nearly right: which function somebody meant."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_OTHER_KIND: Final = re.compile(
    r"Trying to execute (.+)\.js:(\w+) as \w+, but it is defined as (\w+)"
)


def near_path(path: str, paths: Iterable[str]) -> str | None:
    """The function that is meant: one of nearly this path, or of this name in a module.

    Args:
        path: as it was written, `tasks:lst`, `tasks.list` or `list`.
        paths: the functions there are.
    """
    paths = list(paths)
    of_name = [each for each in paths if each.partition(":")[2] == path]
    near = of_name or difflib.get_close_matches(path, paths, 1)
    return near[0] if near else None


def kind_instead(path: str, said: str) -> str | None:
    """What the function at `path` is, where `said` is that it is of another kind."""
    found = _OTHER_KIND.match(said)
    is_its_own = found is not None and path in (f"{found[1]}:{found[2]}", found[1])
    return found[3].lower() if found is not None and is_its_own else None
