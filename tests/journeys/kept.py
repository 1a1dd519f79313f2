"""An index that a keeper follows the log with: what it tells of itself, and what harms it."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.deployments import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.deployments import Deployment


@dataclass(frozen=True, slots=True)
class Kept:
    """An index of a deployment.

    Args:
        lab: the deployment.
        follower: whose index it is, as its status has it.
        files: where that rests, below the deployment's folder.
        add: writes so many documents, and gives their ids.
        check: compares what the index finds with what looking at every document does.
    """

    lab: Deployment
    follower: str
    files: str
    add: Callable[[Deployment, random.Random, int], list[str]]
    check: Callable[[Deployment, random.Random], None]

    @property
    def indexes(self) -> list[dict[str, Any]]:
        """What the deployment tells of those of its follower."""
        return [
            index
            for follower in self.lab.status()["followers"]
            if follower["name"] == self.follower
            for index in follower["indexes"]
        ]

    def survives_its_keeper(self) -> None:
        """Killed between writes, again and again: another has them all."""
        chance = random.Random(2)
        self.check(self.lab, chance)
        for _ in range(3):
            (keeper,) = self.lab.pids("index_keeper")
            ids = self.add(self.lab, chance, 20)
            os.kill(keeper, signal.SIGKILL)
            self.lab.mutation("m:remove", ids=ids[::2])
            self.check(self.lab, chance)

    def survives_broken_files(self) -> None:
        """It is built anew, and the log says why."""
        chance = random.Random(3)
        self.check(self.lab, chance)
        folder = self.lab.folder / self.files
        until((folder / "state.json").exists, self.lab.log)  # it rests after a while
        (keeper,) = self.lab.pids("index_keeper")
        os.kill(keeper, signal.SIGKILL)
        for path in folder.glob("*.columns"):
            path.write_bytes(path.read_bytes()[:-9])
        # What was asked before is answered from memory.
        self.add(self.lab, chance, 1)
        self.check(self.lab, chance)
        assert "is not what was written" in self.lab.log()

    def survives_a_restart(self) -> None:
        """Of the whole deployment, which was killed."""
        chance = random.Random(4)
        self.add(self.lab, chance, 20)
        self.lab.kill()
        self.lab.start()
        self.check(self.lab, chance)
