"""The past: the catalog of an earlier snapshot, and a document's revisions.

A past snapshot is read through the indexes of its moment. One that was dropped
since is no longer whole: the entries of the documents that were current when it
was dropped are gone, and what became of them later was not noted in it. Such an
index is lost, and says so instead of answering with what is left. The indexes of a table that
was deleted are whole: its documents went before they did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convexlab.documents.ids import decode_id
from convexlab.engine.catalog import Catalog, load_catalog
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import INDEXES, TABLES
from convexlab.engine.timestamp import Timestamp
from convexlab.engine.write_set import BY_CREATION_TIME, by_id_index
from convexlab.errors import InvalidArguments, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.persistence.contract import PersistenceSnapshot
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.write_set import Revision


@dataclass(frozen=True, slots=True)
class Period:
    """A revision and how long it was the document.

    Attributes:
        revision: one version.
        to_ts: when the next one, or the deletion, came; None: it is current.
    """

    revision: Revision
    to_ts: Timestamp | None


def past_catalog(base: PersistenceSnapshot, past: Snapshot) -> Catalog:
    """The catalog of a past snapshot of `base`, without the indexes lost since."""
    return load_catalog(past, ts=past.catalog_ts, lost=frozenset(_lost(base, past)))


def periods(
    base: PersistenceSnapshot, catalog: Catalog, table: str, document_id: str
) -> list[Period]:
    """The kept revisions of a document, oldest first.

    Args:
        base: the store.
        catalog: its newest.
        table: the name of the document's table, which may have been deleted.
        document_id: of the document, which may have been deleted too.

    Raises:
        InvalidArguments: the id is of another table.
        InvalidValue: it is no id.
        NotFound: there is, and was, no such table.
    """
    number, internal_id = decode_id(document_id)
    of = catalog.by_id_number.get(number)
    if of is None or of.is_system or of.name != table:
        if not any(
            known.name == table and not known.is_system
            for known in catalog.by_number.values()
        ):
            raise NotFound(f"There is no table `{table}`.")
        raise InvalidArguments(
            f"{document_id} is not an id of `{table}`"
            + (f" but of `{of.name}`." if of is not None else ".")
        )
    found = [
        Period(revision, Timestamp(to_ts) if to_ts else None)
        for place in catalog.by_number.values()
        if place.id_number == number
        for revision, to_ts in base.revisions(place.number, internal_id)
    ]
    return sorted(found, key=_beginning)


def _beginning(period: Period) -> int:
    return period.revision.ts


def _lost(base: PersistenceSnapshot, past: Snapshot) -> Iterator[bytes]:
    """The indexes that were dropped since, by their documents in `_indexes`."""
    tables = {
        int(table.document["number"]): table.id
        for _, table in past.rows(by_id_index(TABLES) | BY_CREATION_TIME, EVERYTHING)
    }
    for _, index in past.rows(by_id_index(INDEXES) | BY_CREATION_TIME, EVERYTHING):
        dropped = _reached(base, INDEXES, index.id, past.ts, "dropping")
        if dropped is not None:
            table = tables[int(index.document["table"])]
            # Deleted in the same commit: the table was empty by then.
            if _reached(base, TABLES, table, past.ts, "deleted") != dropped:
                yield index.id


def _reached(
    base: PersistenceSnapshot, table: int, internal_id: bytes, since: int, state: str
) -> Timestamp | None:
    """When a table or index came into a state after `since`, if it did."""
    for revision, _ in base.revisions(table, internal_id):
        if revision.ts > since and revision.document["state"] == state:
            return Timestamp(revision.ts)
    return None
