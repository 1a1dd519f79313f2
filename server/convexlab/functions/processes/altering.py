"""Altering: whole tables renamed or dropped, each request one transaction.

The outcome is recorded with it, so that a new writer, asked again for what the old
one may have made durable before it died, does not find the table gone and say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.engine.alterations import drop_table, rename_table

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer
    from convexlab.functions.processes.messages import AlterTables


def alter(committer: Committer, request: AlterTables) -> bytes:
    """Rename a table, or drop some: all of them or none.

    Raises:
        CallerError: a table that is not there, a name that cannot be, or a schema
            that speaks of it.
    """
    record = committer.lookup_call(request.call_id)
    if record is not None:
        return record.outcome
    tx = committer.begin(system=True)
    for name in request.tables:
        if request.to is None:
            drop_table(tx, name)
        else:
            rename_table(tx, name, request.to)
    committer.accept(tx.finish(), call_id=request.call_id, outcome=b"{}")
    return b"{}"
