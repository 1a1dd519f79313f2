"""A history of what clients did and saw, and what is wrong with it.

Clients write down each mutation that they ask for, how it ended, and all that they
follow after each Transition. The checker believes nobody and needs no server:

    whole        every view is one moment's: all its queries agree, and nothing is half
    onward       a client's timestamps never fall, and neither does what only grows
    one world    whoever looks at the same timestamp sees the same
    lasting      what was acknowledged is there in the end, once; what was refused is not
    own          after its acknowledgement a client sees its own mutation in every view

The world is accounts, whose sum stands still, and a list to which unique numbers are
appended: what one view of the list says, every later one begins with.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Verdict = Literal["done", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class View:
    """All that one client shows after one Transition.

    Args:
        ts: the Transition's; None where a client does not tell.
        balances: of all accounts.
        moves: how many transfers the book counts.
        numbers: the list.
        length: the list's, as another query says it.
    """

    ts: int | None
    balances: tuple[float, ...]
    moves: float
    numbers: tuple[int, ...]
    length: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A client learns how the append of a number ended."""

    number: int
    verdict: Verdict


@dataclass(slots=True)
class Client:
    """What one client wrote down, oldest first."""

    name: str
    events: list[View | Ended] = field(default_factory=list)

    @property
    def views(self) -> Iterator[View]:
        """What it saw."""
        return (event for event in self.events if isinstance(event, View))

    @property
    def endings(self) -> Iterator[Ended]:
        """What it was told of its appends."""
        return (event for event in self.events if isinstance(event, Ended))


def check(clients: Sequence[Client], last: View, *, total: float) -> None:
    """Find what is wrong with a history, and say so.

    Args:
        clients: all there were.
        last: the world at the end, when nothing was under way.
        total: the sum of all balances.

    Raises:
        AssertionError: something is.
    """
    for client in clients:
        for view in [*client.views, last]:
            _check_whole(client.name, view, total)
        _check_onward(client.name, [*client.views, last])
        _check_own(client)
    _check_one_world(clients)
    _check_lasting(clients, last)


def _check_whole(name: str, view: View, total: float) -> None:
    assert sum(view.balances) == total, f"{name} saw half a transfer: {view}"
    assert view.length == len(view.numbers), f"{name} saw two moments at once: {view}"


def _check_onward(name: str, views: Sequence[View]) -> None:
    latest = 0
    for before, after in pairwise(views):
        latest = max(latest, before.ts or 0)
        assert after.ts is None or after.ts >= latest, f"{name} went back in time"
        assert after.moves >= before.moves, f"{name} saw a transfer undone: {after}"
        begun = after.numbers[: len(before.numbers)]
        assert begun == before.numbers, f"{name} saw an append undone: {after}"


def _check_own(client: Client) -> None:
    done: set[int] = set()
    for event in client.events:
        if isinstance(event, View):
            missing = done.difference(event.numbers)
            assert not missing, f"{client.name} does not see its own {missing}"
        elif event.verdict == "done":
            done.add(event.number)


def _check_one_world(clients: Sequence[Client]) -> None:
    seen: dict[int, tuple[str, View]] = {}
    for client in clients:
        for view in client.views:
            if view.ts is not None:
                name, other = seen.setdefault(view.ts, (client.name, view))
                assert view == other, f"{client.name} and {name} see two worlds: {view}"


def _check_lasting(clients: Sequence[Client], last: View) -> None:
    there = Counter(last.numbers)
    for client in clients:
        for ended in client.endings:
            times = there.pop(ended.number, 0)
            allowed = {"done": {1}, "refused": {0}, "unknown": {0, 1}}[ended.verdict]
            assert times in allowed, (
                f"{client.name}: {ended} and it is there {times} times"
            )
    assert not there, f"nobody has asked for {sorted(there)}"
