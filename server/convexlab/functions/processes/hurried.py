"""Derived indexes as the writer asks them: all other mutations wait while it does.

One that was behind a moment ago is not waited for as long again, and one that did not
even answer is not asked again in that time: so mutations that search slow down no others
for longer than that. The columnar mirror is asked as ever: what needs it in a mutation
waits for the group that gathers, too.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from convexlab import knobs
from convexlab.errors import FollowerBehind
from convexlab.followers.text import request as text_request
from convexlab.followers.vector import request as vector_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.engine.timestamp import Timestamp
    from convexlab.followers.keeper import DerivedIndexes


_SEARCHED: Final = frozenset({text_request.NAME, vector_request.NAME})


class _Late(NamedTuple):
    """When a follower was behind.

    Attributes:
        until: it is not waited for as others are before that moment.
        is_silent: whether it did not answer.
        why: what was said of it.
    """

    until: float
    is_silent: bool
    why: str


class Hurried:
    """See the module; it is `DerivedIndexes`.

    Args:
        derived: asked.
        clock: in seconds.
    """

    def __init__(
        self, derived: DerivedIndexes, clock: Callable[[], float] = monotonic
    ) -> None:
        self._derived = derived
        self._clock = clock
        self._late: dict[str, _Late] = {}

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        """See `DerivedIndexes.ask`."""
        if name not in _SEARCHED:
            return self._derived.ask(
                name, request, at=at, patience_seconds=patience_seconds
            )
        began, late = self._clock(), self._late.get(name)
        patience = patience_seconds
        if late is not None and began < late.until:
            if late.is_silent:
                raise FollowerBehind(late.why)
            patience = min(patience, knobs.FOLLOWER_HURRIED_SECONDS)
        try:
            return self._derived.ask(name, request, at=at, patience_seconds=patience)
        except FollowerBehind as error:
            now = self._clock()
            is_silent = now - began >= patience + knobs.FOLLOWER_ANSWER_SECONDS
            until = now + knobs.FOLLOWER_HURRY_SECONDS
            self._late[name] = _Late(until, is_silent, str(error))
            raise
