"""Where in the store a function's module is, so that a push ends what it made."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from convexlab.documents.ordering import encode_key
from convexlab.engine.interval import Interval
from convexlab.engine.system_tables import MODULES
from convexlab.engine.write_set import FIRST_USER_SLOT, by_id_index

MODULES_BY_PATH: Final = by_id_index(MODULES) | FIRST_USER_SLOT


# Clients may send any path; what is remembered is not long.
_REMEMBERED_CHARS: Final = 256


def module_presence(path: str) -> tuple[int, Interval]:
    """Where in `_modules` a function's module is, or would be.

    A run records it, so that a push of the module, of one that it imports, or
    the first push of it, ends the result.
    """
    if len(path) > _REMEMBERED_CHARS:
        return _presence.__wrapped__(path)
    return _presence(path)


@lru_cache(maxsize=4096)
def _presence(path: str) -> tuple[int, Interval]:
    module = path.split(":", 1)[0].removesuffix(".js")
    return MODULES_BY_PATH, Interval.prefix(encode_key(module))
