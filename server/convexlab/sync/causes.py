"""Causes: why a followed query was asked again, and where the time went.

For people who look at a live view and wonder. Of each query that is followed the last
story is kept: which mutations' commit ended what it said, what the next run read, and
when each step of that was over.

    submitted ─commit─▶ published ─run─▶ known          (and from there to the client)

A group of commits is known by the timestamp at which it ends results
(`CachedResult.until`), so that a run which was overtaken while it ran finds its cause
as well. Nothing here decides anything: what is forgotten is told as unknown.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from convexlab import knobs
from convexlab.sync.backend import MutationRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.functions.cache import QueryToken
    from convexlab.sync.backend import MutationCall, Published, QueryRun

K = TypeVar("K")
V = TypeVar("V")


class Cause(NamedTuple):
    """One group of commits.

    Args:
        ts: the group's timestamp.
        paths: the mutations that it committed, in their order, the first few of them.
        commits: how many mutations it committed; 0 for a push, an import and the like.
        submitted_ns: when the first of them was handed to the writer.
        published_ns: when the group was heard of.
    """

    ts: int
    paths: tuple[str, ...]
    commits: int
    submitted_ns: int
    published_ns: int


@dataclass(slots=True)
class Story:
    """How a query came to say what it says.

    Args:
        cause: what ended what it said before; None: nothing did, or nobody knows.
        ts: of which moment it says it.
        documents_read: how many documents the run read.
        run_seconds: how long the function itself ran.
        known_ns: when its result was there.
    """

    cause: Cause | None
    ts: int = 0
    documents_read: int = 0
    run_seconds: float = 0.0
    known_ns: int = 0


class Causes:
    """The last story of each followed query, the newest of them.

    Args:
        now_ns: the wall clock.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._submitted: dict[MutationCall, int] = {}
        self._groups: OrderedDict[int, Cause] = OrderedDict()
        # What has ended and was not run since.
        self._ended: OrderedDict[_Key, Cause | None] = OrderedDict()
        self._stories: OrderedDict[_Key, Story] = OrderedDict()

    def submitted(self, call: MutationCall) -> None:
        """A mutation goes to the writer."""
        self._submitted[call] = self._now_ns()

    def published(self, previous_ts: int, group: Published) -> None:
        """A group is durable; its results end at `previous_ts + 1`."""
        now = self._now_ns()
        begun, paths, commits = now, list[str](), 0
        for reply in group.replies:
            submitted = self._submitted.pop(reply.call, now)
            if isinstance(reply.outcome, MutationRun) and reply.outcome.ts is not None:
                begun = min(begun, submitted)
                commits += 1
                if len(paths) < knobs.CAUSES_NAMED and reply.call.path not in paths:
                    paths.append(reply.call.path)
        cause = Cause(group.ts, tuple(paths), commits, begun, now)
        _remember(self._groups, previous_ts + 1, cause)

    def ended(self, token: QueryToken, until: int) -> None:
        """What a followed query said holds up to the moment before `until`."""
        _remember(self._ended, _key(token), self._groups.get(until))

    def ran(self, token: QueryToken, run: QueryRun) -> None:
        """A followed query has said something."""
        key = _key(token)
        story = Story(
            self._ended.pop(key, None),
            run.ts,
            run.documents_read,
            run.seconds,
            self._now_ns(),
        )
        _remember(self._stories, key, story)

    def of(self, path: str, args: bytes) -> Story | None:
        """The last story of a query, whoever follows it.

        Args:
            path: the function, in canonical form.
            args: canonical JSON of its arguments.
        """
        return self._stories.get((path, args))


_Key = tuple[str, bytes]


def _key(token: QueryToken) -> _Key:
    return token.path, token.args


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > knobs.STORIES_KEPT:
        known.popitem(last=False)
