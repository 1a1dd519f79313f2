"""Scans: what a query reads of a whole table, answered from the columns.

    "documents"   the first of those that pass a filter, in some order
    "groups"      counts and other aggregates of them

An answer is what reading the table document by document would give, errors
included. DuckDB does what it does exactly; the rest is done by the functions that
judge, order and aggregate documents everywhere, over the stored documents.
"""

from __future__ import annotations

import sys
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents import expression
from convexlab.documents.aggregates import Aggregation, Groups
from convexlab.documents.bodies import from_bodies_each, from_text
from convexlab.documents.ids import encode_id, internal_id_of
from convexlab.documents.ordering import encode_key
from convexlab.documents.predicate import getter, predicate
from convexlab.followers.columnar.conditions import Split, split
from convexlab.followers.columnar.file import LATE
from convexlab.followers.columnar.groups import grouped
from convexlab.followers.columnar.orders import Part, parts as parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.columnar.reading import Reading

_BATCH: Final = 10_000


class Scan(msgspec.Struct, frozen=True):
    """What is read.

    Args:
        table: the table's number.
        id_number: that its ids bear.
        where: a filter, encoded; None: all documents.
        without: the internal ids of documents that are left out.
    """

    table: int
    id_number: int
    where: bytes | None = None
    without: list[bytes] = []


class DocumentsRequest(msgspec.Struct, frozen=True):
    """The first documents in some order.

    Args:
        scan: of which.
        sort: the paths of fields; where these are equal, by creation time.
        after: only those behind it, the creation time and the id of some document; None:
            from the beginning. Not if there are fields.
        is_reversed: from the end.
        most: how many; None: all.
        most_bytes: not more, once the texts have so many bytes.
        is_sparse: whether few rows pass the filter, so that these are read whole.
    """

    scan: Scan
    sort: tuple[tuple[str, ...], ...] = ()
    after: tuple[float, str] | None = None
    is_reversed: bool = False
    most: int | None = None
    most_bytes: int = sys.maxsize
    is_sparse: bool = False


class GroupsRequest(msgspec.Struct, frozen=True):
    """Aggregates."""

    scan: Scan
    aggregation: Aggregation


def answer_documents(reading: Reading, body: bytes) -> bytes:
    """The bodies of a DocumentsRequest, in order."""
    request = msgspec.msgpack.decode(body, type=DocumentsRequest)
    source = Source(reading, request.scan)
    return msgspec.msgpack.encode(source.documents(request))


def answer_groups(reading: Reading, body: bytes) -> bytes:
    """The groups of a GroupsRequest."""
    request = msgspec.msgpack.decode(body, type=GroupsRequest)
    source = Source(reading, request.scan)
    if request.scan.without:
        return source.groups(request.aggregation).encode()
    return reading.folded.answer(body, source, request.aggregation)


def row_key(
    gets: Sequence[Callable[[dict[str, Any]], Any]], document: dict[str, Any]
) -> bytes:
    """A document's key in an index by these fields."""
    values = [get(document) for get in gets]
    internal_id = internal_id_of(document["_id"])
    return encode_key(*values, document["_creationTime"]) + internal_id


def _first(
    bodies: Iterator[bytes], most: int | None, most_bytes: int
) -> Iterator[bytes]:
    """So many bodies, until they have so many bytes."""
    for body in islice(bodies, most):
        yield body
        most_bytes -= len(body)
        if most_bytes <= 0:
            return


def _order(part: Part, request: DocumentsRequest) -> tuple[str, str]:
    """The direction, and what orders the rows of a part but for their ids."""
    way = "DESC NULLS LAST" if request.is_reversed else "ASC NULLS FIRST"
    return way, ", ".join(f"{key} {way}" for key in [*part.keys, "_creationTime"])


def _behind(request: DocumentsRequest) -> tuple[str, list[Any]]:
    """The condition that a row is behind the one that was asked for, and parameters."""
    if request.after is None:
        return "", []
    sign = "<" if request.is_reversed else ">"
    created, document_id = request.after
    return (
        f" AND _creationTime {sign}= ? AND (_creationTime <> ? OR _id {sign} ?)",
        [created, created, document_id],
    )


def _is_behind(text: bytes, request: DocumentsRequest) -> bool:
    """The same of a document."""
    if request.after is None:
        return True
    (document,) = from_bodies_each([text])
    place = document["_creationTime"], document["_id"]
    return place < request.after if request.is_reversed else place > request.after


class Source:
    """The rows of a scan as of a reading's moment.

    Attributes:
        table: the table's number.
        judge: says whether a document passes the filter; None: all do.
    """

    def __init__(self, reading: Reading, scan: Scan) -> None:
        self._reading = reading
        self._scan = scan
        self._table = reading.table(scan.table)
        node = None if scan.where is None else expression.decode(scan.where)
        self._where: Split = split(node, self._table.columns)
        self.judge = None if node is None else predicate(node)
        self.table = scan.table

    @property
    def at(self) -> Timestamp:
        """The moment."""
        return self._reading.at

    # -- documents -------------------------------------------------------------------

    def documents(self, request: DocumentsRequest) -> list[bytes]:
        """Bodies in the request's order."""
        parts = parts_of(self._table.columns, request.sort)
        texts = (
            self._sorted_here(request) if parts is None else self._texts(parts, request)
        )
        # N.B. as the store has them, so that they count as many bytes.
        bodies = map(from_text, self._judged(texts))
        return list(_first(bodies, request.most, request.most_bytes))

    def _texts(self, parts: list[Part], request: DocumentsRequest) -> Iterator[bytes]:
        """What the SQL lets through, sorted."""
        if request.is_sparse and (request.most or 0) <= knobs.SCAN_ORDERED_ROWS:
            self._reading.connection.execute(f"SET SESSION {LATE} = 0")
        left = request.most
        for part in reversed(parts) if request.is_reversed else parts:
            if self._where.rest is not None or left is None:
                yield from self._part_of(part, request)
            elif left > 0:
                found = self._first_of(part, request, left)
                yield from found
                left -= len(found)

    def _part_of(
        self, part: Part, request: DocumentsRequest, limit: str = ""
    ) -> Iterator[bytes]:
        way, order = _order(part, request)
        where, params = _behind(request)
        end = f" AND {part.where}{where} ORDER BY {order}, _id {way}{limit}"
        return (text.encode() for (text,) in self._select("_doc", end, params))

    def _first_of(
        self, part: Part, request: DocumentsRequest, most: int
    ) -> list[bytes]:
        """The first rows, by what nearly always tells them apart, or else by id.

        N.B. ids would be read of every row to be compared in a few: a third of the time.
        """
        _, order = _order(part, request)
        where, params = "", list[Any]()
        if request.after is not None:  # the row itself is let through
            where = f" AND _creationTime {'<=' if request.is_reversed else '>='} ?"
            params = [request.after[0]]
        fields = ", ".join(["_doc", *part.keys, "_creationTime"])
        end = f" AND {part.where}{where} ORDER BY {order} LIMIT {most + 2}"
        rows = list(self._select(fields, end, params))
        if any(one[1:] == other[1:] for one, other in pairwise(rows)):
            return list(self._part_of(part, request, f" LIMIT {most}"))
        texts = [row[0].encode() for row in rows]
        if texts and not _is_behind(texts[0], request):
            del texts[0]
        return texts[:most]

    def _judged(self, texts: Iterator[bytes]) -> Iterator[bytes]:
        """Those that pass the rest of the filter."""
        if self._where.rest is None:
            yield from texts
            return
        judge = predicate(self._where.rest)
        size = 1
        while batch := list(islice(texts, size)):
            documents = from_bodies_each(batch)
            for text, document in zip(batch, documents, strict=True):
                if judge(document):
                    yield text
            size = min(size * 4, _BATCH)

    def _sorted_here(self, request: DocumentsRequest) -> Iterator[bytes]:
        """By keys as indexes have them: all that the SQL lets through is decoded."""
        gets = [getter(path) for path in request.sort]
        rows: list[tuple[bytes, bytes]] = []
        found = self._select("_doc", "")
        while batch := list(islice(found, _BATCH)):
            texts = [text.encode() for (text,) in batch]
            rows += [
                (row_key(gets, document), text)
                for document, text in zip(from_bodies_each(texts), texts, strict=True)
            ]
            rows.sort(reverse=request.is_reversed)
            if self._where.rest is None and request.most is not None:
                del rows[
                    request.most :
                ]  # N.B. so that few are held, however many there are
        return (text for _, text in rows)

    # -- aggregates --------------------------------------------------------------------

    def groups(self, aggregation: Aggregation) -> Groups:
        """The groups of all that pass the filter."""
        if self._where.rest is None:
            found = grouped(
                self._reading.connection,
                self._table.columns,
                aggregation,
                *self._from(),
            )
            if found is not None:
                return found
        groups = Groups(aggregation)
        rows = self._select("_doc", " ORDER BY _creationTime, _id")
        judged = self._judged(text.encode() for (text,) in rows)
        while batch := list(islice(judged, _BATCH)):
            groups.take_all(from_bodies_each(batch))
        return groups

    # -- what changed --------------------------------------------------------------------

    def knows_since(self, since: Timestamp) -> bool:
        """Whether all that was superseded after `since` is still here."""
        return self._table.exact_from <= since

    def ended_since(self, since: Timestamp) -> Iterator[dict[str, Any]]:
        """The documents as of `since` that are not there any more, or are others."""
        if self._table.changed_ts <= since:
            return iter(())
        return self._documents_of(
            f"SELECT _doc, _creationTime, _id FROM {self._table.past}"
            f" WHERE _to > {int(since)} AND _to <= {int(self.at)} AND _from <= {int(since)}"
        )

    def begun_since(self, since: Timestamp) -> Iterator[dict[str, Any]]:
        """The documents that are not as they were as of `since`."""
        if self._table.changed_ts <= since:
            return iter(())
        source = self._reading.source(self._table, "_doc, _creationTime, _id, _from")
        return self._documents_of(
            f"SELECT _doc, _creationTime, _id FROM ({source}) WHERE _from > {int(since)}"
        )

    def _documents_of(self, text: str) -> Iterator[dict[str, Any]]:
        """Those of the documents that pass the filter, in the order of creation."""
        rows = self._reading.connection.execute(
            f"SELECT _doc FROM ({text}) ORDER BY _creationTime, _id"
        ).fetchall()
        found = from_bodies_each([body.encode() for (body,) in rows])
        return filter(self.judge, found) if self.judge is not None else iter(found)

    # -- SQL ---------------------------------------------------------------------------

    def _select(
        self, fields: str, end: str, more: Sequence[Any] = ()
    ) -> Iterator[tuple[Any, ...]]:
        source, params = self._from()
        cursor = self._reading.connection.execute(
            f"SELECT {fields} FROM {source}{end}", [*params, *more]
        )
        while rows := cursor.fetchmany(_BATCH):
            yield from rows

    def _from(self) -> tuple[str, list[Any]]:
        """What follows FROM, with its parameters."""
        source = self._reading.rows(self._table)
        texts, params = [self._where.sql], list(self._where.params)
        if self._scan.without:
            texts.append("_id NOT IN (SELECT unnest(?::VARCHAR[]))")
            number = self._scan.id_number
            params.append([encode_id(number, each) for each in self._scan.without])
        return f"{source} WHERE {' AND '.join(texts)}", params
