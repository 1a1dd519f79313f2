"""Importing: lines of JSON become documents, one batch one transaction.

A batch's outcome is recorded with it: a new writer, asked again for what the old one
may have made durable before it died, inserts nothing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_stored
from convexlab.documents.rules import Refusal
from convexlab.documents.validator import is_identifier
from convexlab.documents.value import MAX_EXACT_INT
from convexlab.engine import alterations
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.limits import NO_LIMITS
from convexlab.errors import CallerError, InvalidArguments, InvalidValue

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.engine.transaction import Transaction
    from convexlab.functions.processes.messages import Import

_FLAT: Final = frozenset({str, float, int, bool, type(None)})


def insert(committer: Committer, request: Import) -> bytes:
    """Insert a batch, whole or not at all.

    Returns:
        JSON of how many documents there are.

    Raises:
        InvalidValue: a line is not a JSON object.
        SchemaViolation: a document does not match the schema; names the line.
    """
    record = committer.lookup_call(request.call_id)
    if record is not None:
        return record.outcome
    tx = committer.begin(limits=NO_LIMITS, system=request.mode != "append")
    plain = Plain()
    if request.mode != "append":
        _make_room(tx, request)
    for number, line in enumerate(request.lines, request.first_line):
        try:
            document = from_stored(line)
            if type(document) is not dict:
                raise InvalidValue("an object was expected, one a line")
            if plain.holds(document):
                tx.insert_plain(request.table, document)
            else:
                tx.insert(request.table, document)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidValue(f"line {number} is not JSON: {error}") from None
        except Refusal as refused:
            raise InvalidValue(f"line {number}: {refused.error('')}") from None
        except CallerError as error:
            raise type(error)(f"line {number}: {error}") from None
    written = msgspec.json.encode({"numWritten": len(request.lines)})
    committer.accept(tx.finish(), call_id=request.call_id, outcome=written)
    return written


class Plain:
    """Tells decoded lines that are documents as they stand from those to be checked.

    Most rows of a batch are flat and have the same fields, so the names are looked
    at once, and the values by their types.
    """

    def __init__(self) -> None:
        self._known: set[tuple[str, ...]] = set()

    def holds(self, document: dict[str, Any]) -> bool:
        """Whether a copy would find nothing to refuse and nothing to convert."""
        names = tuple(document)
        if names not in self._known:
            if len(names) > knobs.MAX_OBJECT_FIELDS or not all(
                map(is_identifier, names)
            ):
                return False
            self._known.add(names)
        values = document.values()
        if not _FLAT.issuperset(map(type, values)):
            return False
        wholes = [value for value in values if type(value) is int]
        return not wholes or (
            min(wholes) >= -MAX_EXACT_INT and max(wholes) <= MAX_EXACT_INT
        )


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
