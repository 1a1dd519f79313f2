"""What is stored of a mutation's outcome, beside its commit.

It is apart from the writer, which may be compiled: how msgspec spells a struct is lost
on the way.
"""

from __future__ import annotations

import msgspec


class Recorded(msgspec.Struct, frozen=True, array_like=True):
    """What is stored of a mutation's outcome, to answer the same call again."""

    value: bytes
    log_lines: list[str]
