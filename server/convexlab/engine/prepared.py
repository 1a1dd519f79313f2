"""Prepared documents: inserts whose checks, texts and keys were made elsewhere.

What an import costs is mostly decoding, checking, encoding and making keys; all of
that follows from the lines and the catalog, so a reader's process can do it while the
writer writes. Left to the transaction are the creation times, which only it can give.

    its text      {"a":1            ,"_creationTime":  1763822345123.5  ,"_id":"j57…"}
                  └────────────── head ─────────────┘                  └─── tail ───┘
    its keys      enc(a)                               enc(1763822345123.5)  ‖ id
                  └ head ┘

Documents that need a second look (one that is no value as it stands, or does not
match the schema) are not prepared, and no document of a table in which an insert has
to look at others (a unique index) or at two schemas: then the whole batch goes the
ordinary way, which also words what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.bodies import packed, plain_text, with_numbers
from convexlab.documents.encoding import encode_json, to_stored
from convexlab.documents.ids import encode_id, new_internal_id
from convexlab.documents.one_pass import objects_as_they_stand
from convexlab.documents.value import check_document, normalize
from convexlab.engine.constraints import may_be_too_much
from convexlab.engine.write_set import Revision
from convexlab.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.catalog import Catalog
    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction

_TIME: Final = b'"_creationTime":'
# What the two system fields add to a text, at most.
_ROOM: Final = bytes(100)


class Prepared(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A batch of documents for one table, in the order in which they are inserted.

    Args:
        catalog_ts: of the catalog by which they were made; for another they are void.
        table: the table's number.
        ids: internal ids.
        heads: what the texts in their bodies begin with.
        tails: what these end with.
        numbers: what is behind each text in its body.
        keys: for each of the table's own indexes, what their keys begin with.
    """

    catalog_ts: int
    table: int
    ids: list[bytes]
    heads: list[bytes]
    tails: list[bytes]
    numbers: list[list[bytes]]
    keys: list[list[bytes]]

    def texts(self) -> list[bytes]:
        """The documents as they were given, without `_id` and `_creationTime`."""
        return [
            plain_text(with_numbers(head[: -len(_TIME)].rstrip(b",") + b"}", numbers))
            for head, numbers in zip(self.heads, self.numbers, strict=True)
        ]

    def bodies(self, times: list[float]) -> list[bytes]:
        """The documents' bodies, with their creation times."""
        # As in any document's text: JSON's numbers, one after another.
        said = encode_json(times)[1:-1].split(b",")
        texts = map(b"".join, zip(self.heads, said, self.tails, strict=True))
        return list(map(with_numbers, texts, self.numbers))


def may_be_prepared(table: TableInfo) -> bool:
    """Whether an insert into this table looks at nothing but its document."""
    return not (
        table.is_system
        or table.state != "active"
        or table.unique
        or table.check_pending is not None
    )


def prepare(
    catalog: Catalog,
    name: str,
    documents: list[Any],
    *,
    random_bytes: Callable[[int], bytes],
    now_ns: int,
) -> Prepared | None:
    """Prepare decoded documents for a table.

    Args:
        catalog: as of which they are prepared.
        name: the table's.
        documents: what the lines say; not changed.
        random_bytes: where new ids come from.
        now_ns: the time, for new ids.

    Returns:
        None: they go the ordinary way.
    """
    table = catalog.tables.get(name)
    if table is None or not documents or not may_be_prepared(table):
        return None
    said = objects_as_they_stand(documents)
    if said is None or any(name[:1] == "_" for name in set().union(*documents)):
        return None
    ids = [new_internal_id(random_bytes, now_ns) for _ in documents]
    names = [encode_id(table.id_number, internal_id) for internal_id in ids]
    try:
        parts = list(map(_parts, documents, said))
        _check(table, documents, [with_numbers(*each) for each in parts], names)
    except (CallerError, UnicodeEncodeError):
        return None
    return Prepared(
        catalog.ts,
        table.number,
        ids,
        [(b"{" if text == b"{}" else text[:-1] + b",") + _TIME for text, _ in parts],
        [b',"_id":"%b"}' % name.encode() for name in names],
        [numbers for _, numbers in parts],
        table.key_heads(documents),
    )


def _parts(document: Any, said: Any) -> tuple[bytes, list[bytes]]:
    """What there is of a document's text, and the numbers behind it in its body.

    Args:
        document: a value.
        said: what stored text says of it.
    """
    numbers: list[bytes] = []
    as_packed = packed(document, numbers)
    if as_packed is document:
        return encode_json(said), numbers
    # N.B. a list of floats is packed before those that JSON cannot say get tags.
    if said is document:
        return encode_json(as_packed), numbers
    numbers = []
    return to_stored(packed(normalize(document), numbers)), numbers


def _check(
    table: TableInfo, documents: list[Any], bodies: list[bytes], names: list[str]
) -> None:
    """Raises CallerError for what an insert would refuse, the limits of size included."""
    if table.check is not None:
        for document in documents:
            table.check(document)
    for document, body, name in zip(documents, bodies, names, strict=True):
        if may_be_too_much(body + _ROOM):
            check_document({**document, "_creationTime": 0.0, "_id": name})


def insert(tx: Transaction, prepared: Prepared) -> bool:
    """Insert prepared documents.

    Returns:
        False: nothing was, for the catalog is another than they were made by.
    """
    catalog = tx.catalog
    table = catalog.by_number.get(prepared.table)
    if (
        tx.has_changed_catalog
        or catalog.ts != prepared.catalog_ts
        or table is None
        or not may_be_prepared(table)
    ):
        return False
    times = tx.creation_times(len(prepared.ids))
    keys = table.places(prepared.ids, times, prepared.keys)
    revisions = [
        Revision(table.number, internal_id, 0, body)
        for internal_id, body in zip(prepared.ids, prepared.bodies(times), strict=True)
    ]
    for revision, places in zip(revisions, keys, strict=True):
        table.set_keys(revision, places)
    tx.insert_revisions(table, revisions)
    return True
