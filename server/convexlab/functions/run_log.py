"""The log of a run: what it prints and logs, as the lines that clients get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs

if TYPE_CHECKING:
    from collections.abc import Callable


class LogLines:
    """The lines of one run, as clients get them: `[LOG] 'text'`.

    Attributes:
        hear: told of each line as it is added; *set by* whoever runs an action.
    """

    __slots__ = ("hear", "lines")

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.hear: Callable[[str], None] | None = None

    def add(self, level: str, *parts: object) -> None:
        """Appends one line of values, as Convex shows them; past the last one nothing."""
        self.add_text(level, " ".join(map(repr, parts)))

    def add_text(self, level: str, text: str) -> None:
        """Appends one line as it is, cut to the documented length."""
        count = len(self.lines)
        if count > knobs.MAX_LOG_LINES:
            return
        if count == knobs.MAX_LOG_LINES:
            self._append(
                f"[ERROR] Log overflow (maximum {count}). Remaining log lines omitted."
            )
            return
        line = f"[{level}] {text}"
        encoded = line.encode("utf-8", "replace")
        if len(encoded) > knobs.MAX_LOG_LINE_BYTES:
            kept = encoded[: knobs.MAX_LOG_LINE_BYTES].decode("utf-8", "ignore")
            line = f"{kept} (truncated due to length)"
        self._append(line)

    def _append(self, line: str) -> None:
        self.lines.append(line)
        if self.hear is not None:
            self.hear(line)
