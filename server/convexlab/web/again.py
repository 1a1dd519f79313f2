"""Again: calls of one connection, each begun from its body alone.

Who asks was found out with the first. Of a long body not even the arguments are read
where the one before had the same around them: see `asked`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convexlab import knobs
from convexlab.errors import CallerError
from convexlab.web.api import Call, checked
from convexlab.web.asked import Shape, read_request, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.web.api import Asker, Begun


class Again:
    """Begins calls that differ from one before in their arguments; see `repeated`.

    Args:
        asker: of all of them.
        begin: begins one.
    """

    def __init__(self, asker: Asker, begin: Callable[[Call], Begun]) -> None:
        self._asker = asker
        self._begin = begin
        # The last long call without its arguments; *set by* reading one.
        self._last: tuple[Shape, Call] | None = None

    def __call__(self, body: bytes) -> Begun | None:
        """Begin one; None: it is refused, in aiohttp's good time."""
        if self._last is not None and _is_long(body):
            shape, last = self._last
            args = shape.arguments_in(body)
            if args is not None:
                call = Call(last.path, args, last.format, last.caller, last.client)
                return msgspec.structs.replace(self._begin(call), unread=body)
        try:
            call = self._read(body)
        except (msgspec.MsgspecError, RecursionError, CallerError):
            return None
        return self._begin(call)

    def _read(self, body: bytes) -> Call:
        asked = read_request(body)
        call = checked(self._asker, asked, asked.path)
        if _is_long(body):
            shape = shape_of(body, asked)
            last = msgspec.structs.replace(call, args=b"")
            self._last = None if shape is None else (shape, last)
        return call


def _is_long(body: bytes) -> bool:
    """Whether its arguments, or most of them, are left as they were written."""
    return len(body) > knobs.CANONICAL_ARGUMENTS_BYTES
