"""What running actions ask of the scheduler."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from convexlab import knobs
from convexlab.errors import ProcessDied
from convexlab.functions import system_mutations
from convexlab.functions.processes.messages import Failure
from convexlab.sync.asks import Asks
from convexlab.sync.backend import MutationRun, RunError
from convexlab.sync.scheduler_asks import SchedulerAsks


class Gateway:
    """Answers mutations as the test says."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes, str]] = []
        self.outcomes: list[Any] = []

    async def mutate(
        self, path: str, args: bytes, caller: Any, *, stored: bool, parent: str
    ) -> MutationRun:
        assert caller.admin
        assert caller.identity is None
        assert stored
        self.calls.append((path, args, parent))
        outcome = self.outcomes.pop(0) if self.outcomes else MutationRun(7, b'"id"')
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Run:
    """The run that asks."""

    entry = "the parent"
    newest_ts = 0

    def committed(self, ts: int) -> None:
        self.newest_ts = ts


def question(kind: str) -> Any:
    return SimpleNamespace(run=Run(), kind=kind, path="m:f", body=b"{}")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def asks(gateway: Gateway) -> Asks:
    made = Asks(gateway)  # type: ignore[arg-type]  # what is needed of one
    SchedulerAsks(gateway).add_to(made)  # type: ignore[arg-type]  # as above
    return made


@pytest.mark.parametrize(
    ("kind", "path"),
    [("schedule", system_mutations.SCHEDULE), ("cancel", system_mutations.CANCEL)],
)
async def test_each_is_a_mutation_of_the_systems_for_the_same_parent(
    gateway: Gateway, asks: Asks, kind: str, path: str
):
    asked = question(kind)
    assert await asks.answer(asked) == b'"id"'
    assert gateway.calls == [(path, b"{}", "the parent")]
    assert asked.run.newest_ts == 7, "the caller's queries wait for it"


async def test_what_is_refused_is_raised_in_the_action(gateway: Gateway, asks: Asks):
    gateway.outcomes = [MutationRun(None, None, RunError("no such", code="NotFound"))]
    assert await asks.answer(question("schedule")) == Failure("no such", "NotFound")


async def test_a_writer_that_dies_under_it_has_not_done_it(
    gateway: Gateway, asks: Asks
):
    gateway.outcomes = [ProcessDied("killed"), ProcessDied("killed")]
    assert await asks.answer(question("schedule")) == b'"id"'
    assert len(gateway.calls) == 3


async def test_it_is_not_tried_without_end(gateway: Gateway, asks: Asks):
    gateway.outcomes = [ProcessDied("killed")] * 100
    with pytest.raises(ProcessDied):
        await asks.answer(question("schedule"))
    assert len(gateway.calls) == knobs.SCHEDULED_DEATHS + 1
