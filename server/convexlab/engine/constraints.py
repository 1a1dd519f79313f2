"""Constraints: what a document must satisfy to be written, beside its schema.

Names and sizes, uniqueness, and a schema that is being pushed. The first two
refuse the write; a pending schema, or a unique index still being filled, never
does: the write goes on, and the push is what fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.documents.bodies import text_of
from convexlab.documents.document import get_path
from convexlab.documents.value import UNDEFINED
from convexlab.engine.definitions import (
    duplicate_message,
    fail_index,
    fail_pending_schema,
)
from convexlab.engine.interval import Interval
from convexlab.errors import InvalidValue, SchemaViolation

if TYPE_CHECKING:
    from convexlab.engine.table import IndexInfo, TableInfo
    from convexlab.engine.write_set import Document, IndexKeys, Revision
    from convexlab.engine.writes import Writes

# The bytes that end every index key: the creation time and the internal id.
_KEY_TAIL_BYTES = 9 + 16


def check_pending(tx: Writes, info: TableInfo, document: Document) -> None:
    """A write that a schema being pushed refuses goes on; the push fails."""
    assert info.check_pending is not None
    try:
        info.check_pending(document)
    except SchemaViolation as error:
        detail = str(error).partition("the schema: ")[2]
        with tx.as_system():
            fail_pending_schema(
                tx,
                f"New document in table `{info.name}` does not match the schema: "
                f"{detail}",
            )


def check_unique(
    tx: Writes, info: TableInfo, revision: Revision, old_keys: IndexKeys
) -> None:
    """Refuse a document that is equal to another in a unique index."""
    places, before = dict(revision.keys), dict(old_keys)
    for index in info.unique:
        key = places[index.id]
        if before.get(index.id) == key:
            continue
        other = equal_in(tx, index, revision, key)
        if other is None:
            continue
        message = duplicate_message(info, index, other)
        if index.state == "enabled":
            raise SchemaViolation(message)
        with tx.as_system():
            fail_index(tx, index, message)


def equal_in(
    tx: Writes, index: IndexInfo, revision: Revision, key: bytes
) -> Revision | None:
    """Another document that is equal in a unique index's fields.

    Documents that lack one of the fields are equal to none.
    """
    document = revision.document
    if any(get_path(document, path) is UNDEFINED for path in index.fields):
        return None
    for _, other in tx.rows(index.id, Interval.prefix(key[:-_KEY_TAIL_BYTES])):
        if other.id != revision.id:
            return other
    return None


def refuse_underscore(name: str, info: TableInfo) -> None:
    """A field whose name begins with `_` is the database's own."""
    if name in ("_id", "_creationTime"):
        raise InvalidValue(
            f"A document inserted into `{info.name}` gets its `_id` and "
            "`_creationTime` from the database. Leave them out."
        )
    raise InvalidValue(
        f"`{name}` is a field name that starts with `_`, which is kept for Convex's "
        "own fields"
    )


def may_be_too_much(body: bytes) -> bool:
    """Whether a document with this body could be over a limit of documents.

    A value's size is at most nine times its body's, each level of nesting takes a
    bracket and each field a colon and four more: most documents need not be measured.
    """
    text = text_of(body)
    return (
        len(body) * 9 > knobs.MAX_DOCUMENT_BYTES
        or text.count(b"{") + text.count(b"[") > knobs.MAX_DOCUMENT_NESTING
        or (
            len(text) > 5 * knobs.MAX_OBJECT_FIELDS
            and text.count(b":") > knobs.MAX_OBJECT_FIELDS
        )
    )


def refuse_system_field(name: str) -> None:
    """Raise if a changed field is one that never changes."""
    if name in ("_id", "_creationTime"):
        raise InvalidValue(f"`{name}` is set by the database and never changes.")
