"""A query that is followed: the newest result, and whoever waits for it.

    waiting ──first value──▶ current ⇄ failed ──close──▶ closed

Invariants
    L1  Whoever is told of changes gets the newest value, one call at a time; values
        in between may be skipped, the last one never is.
"""

from __future__ import annotations

import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

from convexlab.documents.encoding import from_wire, to_wire
from convexlab.errors import Unavailable
from convexlab_kernel.failures import failed
from convexlab_kernel.results import presented
from convexlab_kernel.state import ZERO_TS, QueryUpdated

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.documents.value import Value
    from convexlab.errors import ConvexlabError
    from convexlab_kernel.link import Link
    from convexlab_kernel.state import Update


class LiveResult:
    """A query that is followed: the listener and what it heard last."""

    def __init__(
        self, link: Link, path: str, arguments: bytes, *, select: str | None = None
    ) -> None:
        self.path = path
        self.arguments = arguments
        self.changed = threading.Condition()
        self.closed = False
        self.count = 0
        self.ts = ZERO_TS
        self.error: ConvexlabError | None = None
        self._select = select
        self._raw: bytes | None = None
        self._plain: Value = None
        #: The newest value as it is presented; None until there is one.
        self.presented: Any = None
        self._watchers: list[Callable[[], object]] = []
        self._link = link
        self._query_id = link.follow(path, arguments, self)

    # -- called by the link ------------------------------------------------------

    def updated(self, update: Update) -> None:
        """Take a new value or failure."""
        change = update.change
        with self.changed:
            self.ts = update.ts
            if isinstance(change, QueryUpdated):
                raw = bytes(change.value)
                if raw == self._raw and self.error is None:
                    return
                self._raw, self.error = raw, None
                self._take(raw)
            else:
                self.error = failed(change.error_message, data=change.error_data)
            self._tell()

    def ended(self, error: ConvexlabError) -> None:
        """Take that there will be no more."""
        with self.changed:
            self.error, self.closed = error, True
            self._tell()

    def _take(self, raw: bytes) -> None:
        value = from_wire(raw)
        if self._select is not None and isinstance(value, dict):
            value = value.get(self._select)
        self._plain, self.presented = value, presented(value)

    def _tell(self) -> None:
        self.count += 1
        self.changed.notify_all()
        for watcher in list(self._watchers):
            watcher()

    # -- called by anybody -------------------------------------------------------

    def first(self, timeout: float) -> None:
        """Wait until there is a value or a failure."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.count or self.closed, timeout):
                message = (
                    f"`{self.path}` has not answered within {timeout:g} s: `%convex` "
                    "says whether the deployment runs."
                )
                raise Unavailable(message)

    def value(self) -> Any:
        """The newest value, or the failure raised."""
        with self.changed:
            if self.error is not None:
                raise self.error.with_traceback(None)
            return self.presented

    def newest(self) -> tuple[int, bytes | None, ConvexlabError | None]:
        """How many results there have been, the last as wire JSON, or its failure."""
        with self.changed:
            raw = self._raw
            if self._select is not None and raw is not None:
                raw = to_wire(self._plain)
            return self.count, raw, self.error

    def watch(self, watcher: Callable[[], object]) -> Callable[[], None]:
        """Call something on the link's thread after each change; the result ends it."""
        with self.changed:
            self._watchers.append(watcher)

        def end() -> None:
            with self.changed:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)

        return end

    def close(self) -> None:
        """Follow it no longer."""
        self._link.unfollow(self._query_id)
        with self.changed:
            self.closed = True
            self._tell()


class Later:
    """A query that is followed once somebody wants its result.

    Args:
        follow: begins.
    """

    def __init__(self, follow: Callable[[], LiveResult]) -> None:
        self._follow = follow
        self._lock = threading.Lock()
        self._result: LiveResult | None = None

    @property
    def result(self) -> LiveResult:
        """What is followed, from now on if it was not."""
        with self._lock:
            if self._result is None:
                self._result = self._follow()
            return self._result

    def close(self) -> None:
        """Follow it no longer, if it was."""
        with self._lock:
            if self._result is not None:
                self._result.close()


class Caller:
    """Calls a function with the newest value, on a thread of its own (L1)."""

    def __init__(self, result: LiveResult, call: Callable[[Any], object]) -> None:
        self._result = result
        self._call = call
        self._ended = False
        self._seen = 0
        threading.Thread(
            target=self._run, name="convexlab-on-change", daemon=True
        ).start()

    def end(self) -> None:
        """Call it no more."""
        with self._result.changed:
            self._ended = True
            self._result.changed.notify_all()

    def _run(self) -> None:
        result = self._result
        while self._wait():
            with result.changed:
                self._seen, error = result.count, result.error
                value = None if error is not None else result.value()
            if error is None:
                self._tell(value)

    def _wait(self) -> bool:
        """Wait for news; whether there is any."""
        result = self._result

        def news() -> bool:
            return self._ended or result.closed or result.count > self._seen

        with result.changed:
            result.changed.wait_for(news)
            return not (self._ended or result.closed)

    def _tell(self, value: Any) -> None:
        try:
            self._call(value)
        except Exception:  # noqa: BLE001 - a user's function, on our thread: shown
            traceback.print_exc(file=sys.stderr)
