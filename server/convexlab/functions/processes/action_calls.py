"""What both kinds of action runner do alike: their messages as calls, and the code.

Values cross the channel as JSON; here they become what `action_run` and `http_run`
take, and their outcomes become messages again.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from convexlab.engine.files import FILES_VARIABLE, open_files
from convexlab.engine.persistence.sqlite import open_reader
from convexlab.engine.snapshot import newest_snapshot
from convexlab.engine.transaction import Transaction
from convexlab.functions import vector_search
from convexlab.functions.action_run import Asked, World
from convexlab.functions.http_run import HttpAsked
from convexlab.functions.processes.deployed import Deployed, identity_of
from convexlab.functions.processes.failures import failure_of
from convexlab.functions.processes.messages import ActionDone, RunAction, RunHttp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.engine.timestamp import Timestamp
    from convexlab.functions.processes.messages import Become
    from convexlab.functions.runner import Outcome
    from convexlab.functions.vector_search import VectorSearch

Started: TypeAlias = RunAction | RunHttp


class Code:
    """The deployment's code, as the store has it at this moment.

    Args:
        role: says where the store is.

    Attributes:
        folder: the deployment's.
    """

    def __init__(self, role: Become) -> None:
        self.folder = Path(role.folder)
        self._store = open_reader(self.folder)
        self._deployed = Deployed(self.folder.name)
        self._files = open_files(self.folder, os.environ.get(FILES_VARIABLE))
        # N.B. a thread that an action left behind may search while the next one begins.
        self._turn = threading.Lock()

    def now(self, environment: dict[str, str | None]) -> World:
        """What a run that begins now finds around it."""
        with self._turn, newest_snapshot(self._store.snapshot()) as snapshot:
            tables = self._deployed.catalog(snapshot).table_numbers
            modules = self._deployed.modules(snapshot)
            return World(modules, tables, environment, files=self._files)

    def searched(self, body: bytes) -> tuple[VectorSearch, Timestamp]:
        """A vector search that an action asks for, and as of when: all that is committed.

        Raises:
            ConvexlabError: what is asked cannot be.
        """
        (search,), at = self.all_searched([body])
        if isinstance(search, Exception):
            raise search
        return search, at

    def all_searched(
        self, bodies: Sequence[bytes]
    ) -> tuple[list[VectorSearch | Exception], Timestamp]:
        """The same of several, by one look at the store; or why one cannot be."""
        with self._turn, newest_snapshot(self._store.snapshot()) as snapshot:
            tx = Transaction(snapshot, self._deployed.catalog(snapshot))
            return [_sought(tx, body) for body in bodies], snapshot.durable_ts


def _sought(tx: Transaction, body: bytes) -> VectorSearch | Exception:
    try:
        return vector_search.sought(tx, _unasked, body)
    except Exception as error:  # noqa: BLE001 - one action's, not its neighbours'
        return error


def _unasked(name: str, request: bytes) -> bytes:
    raise AssertionError(f"{name} is asked by the runner itself: {request!r}")


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
