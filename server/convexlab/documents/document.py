"""Documents: dicts with an id and a creation time, and the keys they are indexed by.

An index key is the indexed fields' values (UNDEFINED where one is missing), then
the creation time, then the raw internal id, so that no two documents share a key
and a range walks equal values in order of creation.

    by_id               the raw internal id
    by_creation_time    creation time ‖ internal id
    by_owner_date       owner ‖ date ‖ creation time ‖ internal id
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from convexlab.documents.ordering import encode_key, encode_number
from convexlab.documents.value import UNDEFINED, Value

Document: TypeAlias = dict[str, Value]

ID: Final = "_id"
CREATION_TIME: Final = "_creationTime"
SYSTEM_FIELDS: Final = frozenset({ID, CREATION_TIME})

KeyMaker: TypeAlias = Callable[[Mapping[str, Any], bytes], bytes]


def get_path(document: Mapping[str, Any], path: str) -> Any:
    """The value at a field path such as `address.city`; UNDEFINED when it is missing."""
    if "." not in path:
        return document.get(path, UNDEFINED)
    found: Any = document
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return UNDEFINED
        found = found.get(name, UNDEFINED)
    return found


def without_system_fields(document: Mapping[str, Value]) -> Document:
    """The user's fields of a document."""
    return {name: item for name, item in document.items() if name not in SYSTEM_FIELDS}


def index_key(
    fields: Sequence[str], document: Mapping[str, Any], internal_id: bytes
) -> bytes:
    """The key of `document` in an index over `fields`, the creation time not among them."""
    return index_key_maker(tuple(fields))(document, internal_id)


@lru_cache(maxsize=4096)
def index_key_maker(fields: tuple[str, ...]) -> KeyMaker:
    """`index_key` for one index, to be kept and called for each document."""
    if any("." in field for field in fields):
        return _nested_key_maker(fields)
    match fields:
        case ():
            return lambda document, internal_id: (
                encode_number(document["_creationTime"]) + internal_id
            )
        case (one,):
            return lambda document, internal_id: (
                encode_key(document.get(one, UNDEFINED))
                + encode_number(document["_creationTime"])
                + internal_id
            )
        case _:
            return lambda document, internal_id: (
                encode_key(*[document.get(field, UNDEFINED) for field in fields])
                + encode_number(document["_creationTime"])
                + internal_id
            )


def _nested_key_maker(fields: tuple[str, ...]) -> KeyMaker:
    def key(document: Mapping[str, Any], internal_id: bytes) -> bytes:
        values = [get_path(document, field) for field in fields]
        return encode_key(*values, document["_creationTime"]) + internal_id

    return key
