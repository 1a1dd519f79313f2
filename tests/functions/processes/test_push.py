"""How long the modules of a push may take to load; all else is in the journeys."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from convexlab import knobs
from convexlab.functions.processes.push import Pusher

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER = "what the modules define"


class Analyst:
    """A process and its supervisor: it answers when it was looked at `looks` times.

    Args:
        worked: the processor time that it has had, by the number of looks.
        looks: None for never.
    """

    def __init__(
        self, worked: Callable[[int], float | None], *, looks: int | None = None
    ) -> None:
        self._worked, self._looks, self.looked = worked, looks, -1

    def ask(self, _analyst: object, _request: object) -> asyncio.Future[str]:
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return self._answer

    def worked_seconds(self, _call: int) -> float | None:
        self.looked += 1
        if self.looked == self._looks:
            self._answer.set_result(ANSWER)
        return self._worked(self.looked)


async def loaded(analyst: Analyst) -> object:
    class Request:
        number = 1

    both: Any = analyst
    request: Any = Request
    return await Pusher(both)._in_time(both, request)


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knobs, "LOAD_MODULES_SECONDS", 0.01)


async def test_modules_that_are_kept_from_working_are_waited_for() -> None:
    assert await loaded(Analyst(lambda _: 0.0, looks=3)) == ANSWER


@pytest.mark.parametrize(
    "analyst",
    [
        Analyst(lambda looked: looked * 0.004),
        Analyst(lambda _: None),  # the system does not tell
    ],
)
async def test_modules_that_work_for_too_long_are_given_up(analyst: Analyst) -> None:
    with pytest.raises(TimeoutError):
        await loaded(analyst)
    assert analyst.looked in (1, 3)


async def test_modules_that_do_nothing_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(knobs, "LOAD_PATIENCE_SECONDS", 0.02)
    with pytest.raises(TimeoutError):
        await loaded(Analyst(lambda _: 0.0))
