"""The deployment's log for people: what functions printed and how they ended.

    2026-11-22 18:10:31 [CONVEX M(tasks:create)] [LOG] 'created' 7
    2026-11-22 18:10:31 [CONVEX M(tasks:create)] Function executed in 4 ms
    2026-11-22 18:10:32 [CONVEX Q(tasks:list)] [Request ID: 4f0c2a9d1b7e6a35] Uncaught …

Entries come as the deployment has them (`GET /api/convexlab/logs`): newest first asked
for, then each as it comes, for as long as somebody reads on. A deployment that starts
again is found again; it is not started for its log.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec

from convexlab import knobs
from convexlab.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab_kernel.attachment import Attachment

Entry = dict[str, Any]


class _Page(msgspec.Struct):
    entries: list[Entry]
    cursor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which entries are asked for; what is not said leaves none out.

    Attributes:
        function: a function's path, its module's, or a folder's.
        kind: query, mutation, action or httpaction.
        level: of a line that there must be: log, debug, info, warn, error.
        text: in a line, an error or the function's path.
        request: the id in an error's text.
        failed: only what failed.
    """

    function: str = ""
    kind: str = ""
    level: str = ""
    text: str = ""
    request: str = ""
    failed: bool = False

    @property
    def parameters(self) -> dict[str, str]:
        """As the deployment takes them."""
        said = {
            "function": self.function,
            "kind": self.kind,
            "level": self.level,
            "text": self.text,
            "request": self.request,
            "failed": "true" if self.failed else "",
        }
        return {name: value for name, value in said.items() if value}


@dataclass(slots=True)
class Log:
    """The log of a deployment, read on from where one stands.

    Attributes:
        attachment: to the deployment.
        filters: which entries are read.
        cursor: how far it was read; *set by* newest.
        pause: waits so many seconds until a deployment is asked again that is away.
    """

    attachment: Attachment
    filters: Filters = field(default_factory=Filters)
    cursor: float = 0.0
    pause: Callable[[float], None] = time.sleep

    def newest(self) -> list[Entry]:
        """The newest entries, as many as one answer holds.

        Raises:
            NotAllowed: it takes the deployment's key.
        """
        self.attachment.need_admin("Its log")
        page = self.attachment.get(self._path(), _Page)
        self.cursor = page.cursor
        return page.entries

    def follow(self) -> Iterator[Entry]:
        """Each entry after those, as it comes; without end."""
        seconds = knobs.RECONNECT_SECONDS
        while True:
            try:
                # N.B. past the attachment, which starts a deployment that has stopped.
                body = self.attachment.endpoint.get(self._path(cursor=self.cursor))
            except Unavailable:
                self.pause(seconds)
                seconds = min(2 * seconds, knobs.RECONNECT_MOST_SECONDS)
                self.attachment.refresh()
                continue
            seconds = knobs.RECONNECT_SECONDS
            page = msgspec.json.decode(body, type=_Page)
            self.cursor = page.cursor
            yield from page.entries

    def _path(self, **further: float) -> str:
        asked = urlencode(self.filters.parameters | further)
        return f"/api/convexlab/logs?{asked}"


def shown(entry: Entry, *, success: bool = False) -> list[str]:
    """An entry as lines for people, as Convex's command line shows it.

    Args:
        entry: of the log.
        success: also that a function ran and did not fail.
    """
    name = f"[CONVEX {entry['udfType'][0]}({entry['identifier']})]"
    at = _time(entry["timestamp"])
    lines = [
        f"{_time(line['timestamp'] / 1000)} {name} [{line['level']}] {_text(line)}"
        for line in entry["logLines"]
    ]
    if entry.get("error"):
        request = f"[Request ID: {entry['requestId']}] " if entry["requestId"] else ""
        lines.append(f"{at} {name} {request}{entry['error']}")
    elif success and entry["kind"] == "Completion":
        lines.append(f"{at} {name} {_ended(entry)}")
    return lines


def _text(line: dict[str, Any]) -> str:
    text = " ".join(line["messages"])
    return f"{text} (truncated due to length)" if line["isTruncated"] else text


def _ended(entry: Entry) -> str:
    if entry["cachedResult"]:
        return "Function executed in 0 ms (cached)"
    answer = entry["success"] or {}
    status = f", status {answer['status']}" if "status" in answer else ""
    took = math.ceil(entry["executionTime"] * 1000)
    return f"Function executed in {took} ms{status}"


def _time(seconds: float) -> str:
    """In this machine's time zone."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
