"""Importing: lines of JSON become documents, one batch one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convexlab.documents.encoding import from_stored
from convexlab.engine.limits import NO_LIMITS
from convexlab.errors import CallerError, InvalidValue

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.functions.processes.messages import Import


def insert(committer: Committer, request: Import) -> bytes:
    """Insert a batch, whole or not at all.

    Returns:
        JSON of how many documents there are.

    Raises:
        InvalidValue: a line is not a JSON object.
        SchemaViolation: a document does not match the schema; names the line.
    """
    tx = committer.begin(limits=NO_LIMITS)
    insert_one = tx.insert
    for number, line in enumerate(request.lines, request.first_line):
        try:
            document = from_stored(line)
            if type(document) is not dict:
                raise InvalidValue("an object was expected, one a line")
            insert_one(request.table, document)
        except msgspec.DecodeError as error:
            raise InvalidValue(f"line {number} is not JSON: {error}") from None
        except CallerError as error:
            raise type(error)(f"line {number}: {error}") from None
    committer.accept(tx.finish())
    return msgspec.json.encode({"numWritten": len(request.lines)})
