"""Importing: lines of JSON become documents, one batch one transaction.

    reader   lines ─▶ prepared: checked, texts and keys made
    writer   prepared ─▶ inserted; lines that could not be prepared one by one,
             which says what is wrong with which

A batch's outcome is recorded with it: a new writer, asked again for what the old one
may have made durable before it died, inserts nothing twice.

Invariants
    I1  After a batch that was refused nothing of the same request is inserted.
"""

from __future__ import annotations

import os
from time import time_ns  # N.B. the clock itself: `time.…` stands still in runs
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.encoding import from_stored
from convexlab.documents.ids import RandomPool
from convexlab.documents.rules import Refusal
from convexlab.engine import alterations, prepared
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.limits import NO_LIMITS
from convexlab.errors import (
    CallerError,
    ConvexlabError,
    InvalidArguments,
    InvalidValue,
    NotAllowed,
)

if TYPE_CHECKING:
    from convexlab.engine.catalog import Catalog
    from convexlab.engine.committer import Committer
    from convexlab.engine.prepared import Prepared
    from convexlab.engine.transaction import Transaction
    from convexlab.functions.processes.messages import Import, PrepareImport

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(prepared.Prepared).decode
_random_bytes: Final = RandomPool(os.urandom)


def prepare(catalog: Catalog, request: PrepareImport) -> bytes:
    """What a reader makes of a batch's lines; empty: they go to the writer as they are."""
    made = _prepared(catalog, request.table, request.lines.split(b"\n"))
    return b"" if made is None else _encode(made)


def _prepared(catalog: Catalog, table: str, lines: list[bytes]) -> Prepared | None:
    try:
        documents = list(map(from_stored, lines))
    except (msgspec.DecodeError, RecursionError, Refusal):
        return None
    return prepared.prepare(
        catalog, table, documents, random_bytes=_random_bytes, now_ns=time_ns()
    )


class Importing:
    """The writer's end: inserts batches.

    Args:
        committer: where.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        # Requests come one after another, so the newest is the one to look out for.
        self._newest = self._refused = 0

    def insert(self, request: Import) -> bytes:
        """Insert a batch, whole or not at all.

        Returns:
            JSON of how many documents there are.

        Raises:
            InvalidValue: a line is not a JSON object.
            SchemaViolation: a document does not match the schema; names the line.
            NotAllowed: a batch before it was refused: I1.
        """
        record = self._committer.lookup_call(request.call_id)
        if record is not None:
            return record.outcome
        if request.request and request.request == self._refused:
            raise NotAllowed("Lines before these were refused, so these wait too.")
        self._newest = request.request
        try:
            return self._insert(request)
        except ConvexlabError:
            self.refuse_the_rest()
            raise

    def refuse_the_rest(self) -> None:
        """What was inserted last, or was to be, is not in the store: I1."""
        self._refused = self._newest

    def _insert(self, request: Import) -> bytes:
        tx = self._committer.begin(limits=NO_LIMITS, system=request.mode != "append")
        if request.mode != "append":
            _make_room(tx, request)
        count = _insert_all(tx, request)
        written = msgspec.json.encode({"numWritten": count})
        self._committer.accept(tx.finish(), call_id=request.call_id, outcome=written)
        return written


def _insert_all(tx: Transaction, request: Import) -> int:
    """Insert a batch's documents; how many they are."""
    lines = request.lines
    made = _decode(request.prepared) if request.prepared else None
    if made is None:
        made = _prepared(tx.catalog, request.table, lines)
    else:
        lines = made.texts()
    if made is None or not prepared.insert(tx, made):
        _insert_one_by_one(tx, request.table, lines, request.first_line)
    return len(lines)


def _insert_one_by_one(
    tx: Transaction, table: str, lines: list[bytes], first_line: int
) -> None:
    for number, line in enumerate(lines, first_line):
        try:
            document: Any = from_stored(line)
            if type(document) is not dict:
                raise InvalidValue("an object was expected, one a line")
            tx.insert(table, document)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidValue(f"line {number} is not JSON: {error}") from None
        except Refusal as refused:
            raise InvalidValue(f"line {number}: {refused.error('')}") from None
        except CallerError as error:
            raise type(error)(f"line {number}: {error}") from None


def _make_room(tx: Transaction, request: Import) -> None:
    """See that the table is empty, or refuse."""
    table = tx.catalog.tables.get(request.table)
    if (
        table is None
        or next(tx.rows(table.by_creation_time.id, EVERYTHING), None) is None
    ):
        return
    if request.mode == "requireEmpty":
        raise InvalidArguments(
            f"Table {request.table} already exists. Choose a new table name, or use "
            "replace or append."
        )
    alterations.empty_table(tx, table)
