"""Actions run in the test's own process; what they ask for is answered by a table."""

from __future__ import annotations

import asyncio
import textwrap
from typing import TYPE_CHECKING, Any

from convexlab.documents.encoding import from_stored, from_wire, to_stored, to_wire
from convexlab.functions.action_run import (
    Asked,
    Prepared,
    World,
    prepare,
    run_async,
    run_plain,
)
from convexlab.functions.awaited_calls import watch_tasks
from convexlab.functions.module_sources import ModuleSource
from convexlab.functions.modules import ModuleSet
from convexlab.functions.runner import Outcome

if TYPE_CHECKING:
    from convexlab.functions.identity import Identity
    from convexlab.functions.runner import FunctionError

HEADER = """\
import asyncio, os, random, threading, time
from convexlab import *
from convexlab import ActionCtx, SyncActionCtx, action, internal_action
"""


class Acts:
    """Modules whose actions run here.

    Attributes:
        asked: what was asked for, in order: (kind, path, arguments).
        answers: by kind and path: a value, or an exception to raise.
    """

    def __init__(self, modules: dict[str, str]) -> None:
        self.modules = ModuleSet(
            [
                ModuleSource(path, HEADER + textwrap.dedent(text))
                for path, text in modules.items()
            ]
        )
        self.world = World(self.modules, {"notes": 10_001})
        self.asked: list[tuple[str, str, Any]] = []
        self.answers: dict[tuple[str, str], Any] = {}

    def prepared(
        self,
        name: str,
        args: dict[str, Any],
        *,
        identity: Identity | None = None,
        admin: bool = False,
    ) -> Prepared | Outcome:
        asked = Asked(f"m:{name}", to_wire(args), identity, admin)
        return prepare(self.world, asked)

    async def outcome(
        self, name: str, /, *, identity: Identity | None = None, **args: Any
    ) -> Outcome:
        """What `m:name` comes to, in a task of its own."""
        watch_tasks(asyncio.get_running_loop())
        prepared = self.prepared(name, args, identity=identity)
        if isinstance(prepared, Outcome):
            return prepared
        if prepared.definition.is_async:
            return await asyncio.create_task(run_async(prepared, self.ask))
        return await asyncio.to_thread(run_plain, prepared, self.ask_plain)

    async def value(self, name: str, /, **args: Any) -> Any:
        outcome = await self.outcome(name, **args)
        assert outcome.error is None, outcome.error.message
        assert outcome.value is not None
        return from_wire(outcome.value)

    async def error(self, name: str, /, **args: Any) -> FunctionError:
        outcome = await self.outcome(name, **args)
        assert outcome.error is not None, outcome.value
        return outcome.error

    async def ask(self, kind: str, path: str, body: bytes) -> bytes:
        await asyncio.sleep(0)
        return self.ask_plain(kind, path, body)

    def ask_plain(self, kind: str, path: str, body: bytes) -> bytes:
        self.asked.append((kind, path, from_stored(body)))
        answer = self.answers.get((kind, path))
        if isinstance(answer, Exception):
            raise answer
        return to_stored(answer)


def acts(text: str, **modules: str) -> Acts:
    """Acts with the module `m`, and others by name."""
    return Acts({"m": text, **modules})
