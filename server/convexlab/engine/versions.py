"""Versions: what a group of commits made of each document, whatever came in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convexlab.engine.write_set import IndexKeys  # noqa: TC001  # read by msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convexlab.engine.write_set import DocumentWrite


class Versions(NamedTuple):
    """What one document was before a group of commits and is after it, and where.

    Attributes:
        old: the stored text; None: there was no document.
        new: None: there is none any more.
        old_keys: its places before.
        new_keys: and after.
    """

    old: bytes | None
    new: bytes | None
    old_keys: IndexKeys
    new_keys: IndexKeys


def size_of(versions: Versions) -> int:
    """How many bytes of text they are."""
    return len(versions.old or b"") + len(versions.new or b"")


def net_versions(writes: Iterable[DocumentWrite]) -> list[Versions]:
    """Each document before the first of the writes and after the last."""
    net: dict[tuple[int, bytes], Versions] = {}
    for write in writes:
        document = (write.table, write.id)
        first = net.get(document)
        old, old_keys = (
            (None if write.old is None else write.old.body, write.old_keys)
            if first is None
            else (first.old, first.old_keys)
        )
        new = None if write.new is None else write.new.body
        net[document] = Versions(old, new, old_keys, write.new_keys)
    return list(net.values())
