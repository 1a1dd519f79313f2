"""Wanted: which entries of the log somebody asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from convexlab.functions.logs.entries import Completion, RunType

if TYPE_CHECKING:
    from convexlab.functions.logs.entries import Entry


class Wanted(msgspec.Struct, frozen=True):
    """What an entry must be to be wanted; nothing said, any.

    Args:
        function: its function's path, or its module, or the folder of that.
        run_type: the kind of its function.
        level: a line of this level; `ERROR`: or that it failed.
        text: somewhere in its lines, its error or its name; in any case of letters.
        request_id: of the request.
        failed: only what failed.
        ended: only how runs ended, not what they printed before.
        roots: no run that an action called.
    """

    function: str = ""
    run_type: RunType | None = None
    level: str = ""
    text: str = ""
    request_id: str = ""
    failed: bool = False
    ended: bool = False
    roots: bool = False

    def takes(self, entry: Entry) -> bool:
        """Whether it is wanted."""
        origin = entry.origin
        return (
            (not self.run_type or origin.run_type == self.run_type)
            and (not self.request_id or origin.request_id == self.request_id)
            and (not self.function or _is_of(origin.identifier, self.function))
            and (not self.failed or _error(entry) is not None)
            and (not self.ended or isinstance(entry, Completion))
            and (not self.roots or not origin.parent_id)
            and (not self.level or _has_level(entry, self.level))
            and (not self.text or _says(entry, self.text.casefold()))
        )


EVERYTHING: Final = Wanted()


def _is_of(identifier: str, function: str) -> bool:
    """`admin/users:list` is of `admin/users:list`, `admin/users` and `admin`."""
    name = function.replace(".js:", ":").removesuffix(".js")
    return identifier == name or (
        identifier.startswith(name) and identifier[len(name)] in ":/"
    )


def _error(entry: Entry) -> str | None:
    return entry.error if isinstance(entry, Completion) else None


def _has_level(entry: Entry, level: str) -> bool:
    said = f"[{level}] "
    return any(line.startswith(said) for line in entry.log_lines) or (
        level == "ERROR" and _error(entry) is not None
    )


def _says(entry: Entry, text: str) -> bool:
    parts = (entry.origin.identifier, _error(entry) or "", *entry.log_lines)
    return any(text in part.casefold() for part in parts)
