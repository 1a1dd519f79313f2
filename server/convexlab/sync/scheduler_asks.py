"""What running actions ask of the scheduler: it is done at once, and recorded.

Each question is one of the system's mutations, whose transaction checks that there
is such a function, and that the scheduled function for which the action runs, if
there is one, was not canceled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.errors import ProcessDied
from convexlab.functions import system_mutations
from convexlab.functions.action_scheduler import CANCEL, SCHEDULE
from convexlab.sync.asks import said
from convexlab.sync.scheduling import NOBODY

if TYPE_CHECKING:
    from convexlab.functions.processes.messages import Failure
    from convexlab.functions.processes.runners import Question
    from convexlab.sync.asks import Asks
    from convexlab.sync.backend import MutationRun
    from convexlab.sync.gateway import Gateway


class SchedulerAsks:
    """Answers.

    Args:
        gateway: runs the mutations.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def add_to(self, asks: Asks) -> None:
        """Answer what actions ask."""
        asks.add(SCHEDULE, self._schedule)
        asks.add(CANCEL, self._cancel)

    async def _schedule(self, question: Question) -> bytes | Failure:
        return await self._do(system_mutations.SCHEDULE, question)

    async def _cancel(self, question: Question) -> bytes | Failure:
        return await self._do(system_mutations.CANCEL, question)

    async def _do(self, path: str, question: Question) -> bytes | Failure:
        run = await self._mutate(path, question)
        question.run.committed(run.ts or 0)
        return said(run)

    async def _mutate(self, path: str, question: Question) -> MutationRun:
        """Once, however many writers die: one that died under it has not done it."""
        for _ in range(knobs.SCHEDULED_DEATHS):
            try:
                return await self._mutate_once(path, question)
            except ProcessDied:
                continue
        return await self._mutate_once(path, question)

    async def _mutate_once(self, path: str, question: Question) -> MutationRun:
        return await self._gateway.mutate(
            path, question.body, NOBODY, stored=True, parent=question.run.entry
        )
