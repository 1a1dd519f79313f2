"""What both kinds of action runner do alike: their messages as calls, and the code.

Values cross the channel as JSON; here they become what `action_run` and `http_run`
take, and their outcomes become messages again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from convexlab.engine.files import FILES_VARIABLE, open_files
from convexlab.engine.persistence.sqlite import open_reader
from convexlab.engine.snapshot import newest_snapshot
from convexlab.functions.action_run import Asked, World
from convexlab.functions.http_run import HttpAsked
from convexlab.functions.processes.deployed import Deployed, identity_of
from convexlab.functions.processes.failures import failure_of
from convexlab.functions.processes.messages import ActionDone, RunAction, RunHttp

if TYPE_CHECKING:
    from convexlab.functions.processes.messages import Become
    from convexlab.functions.runner import Outcome

Started: TypeAlias = RunAction | RunHttp


class Code:
    """The deployment's code, as the store has it at this moment.

    Args:
        role: says where the store is.
    """

    def __init__(self, role: Become) -> None:
        self._store = open_reader(Path(role.folder))
        self._deployed = Deployed(Path(role.folder).name)
        self._files = open_files(Path(role.folder), os.environ.get(FILES_VARIABLE))

    def now(self, environment: dict[str, str | None]) -> World:
        """What a run that begins now finds around it."""
        with newest_snapshot(self._store.snapshot()) as snapshot:
            tables = self._deployed.catalog(snapshot).table_numbers
            modules = self._deployed.modules(snapshot)
            return World(modules, tables, environment, files=self._files)


def asked_of(message: RunAction) -> Asked:
    """The call that a message stands for."""
    return Asked(
        message.path,
        message.args,
        identity_of(message.identity),
        message.admin,
        message.stored,
        message.request,
    )


def http_asked_of(message: RunHttp) -> HttpAsked:
    """The request that a message stands for."""
    return HttpAsked(
        message.method,
        message.url,
        message.path,
        message.headers,
        identity_of(message.identity),
        message.request,
    )


def done(number: int, outcome: Outcome) -> ActionDone:
    """What the gateway hears of an outcome."""
    return ActionDone(number, outcome.value, failure_of(outcome), outcome.log_lines)
