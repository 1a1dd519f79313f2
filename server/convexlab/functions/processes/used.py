"""What a transaction has used, on its way to the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab.functions.processes.messages import Used

if TYPE_CHECKING:
    from convexlab.engine.transaction import Transaction


def used_by(tx: Transaction) -> Used:
    """What it has read and written until now."""
    usage = tx.usage
    return Used(
        usage.documents_read, usage.bytes_read, usage.writes, usage.bytes_written
    )
