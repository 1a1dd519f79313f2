"""A deployment in miniature: real modules, a real committer, a store in memory."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from convexlab.documents.encoding import from_wire, to_wire
from convexlab.engine import definitions
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.functions import runner
from convexlab.functions.analysis import analyze
from convexlab.functions.module_sources import ModuleSource
from convexlab.functions.modules import ModuleSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from convexlab.functions.analysis import Analysis
    from convexlab.functions.identity import Identity
    from convexlab.functions.runner import FunctionError, Outcome

HEADER = """\
from convexlab import *
from convexlab import query, mutation
"""

NOW_MS = 1_750_000_000_123


def source_of(path: str, text: str) -> ModuleSource:
    return ModuleSource(path, textwrap.dedent(text))


class Lab:
    """Modules by path, run on a store in memory."""

    def __init__(self, modules: dict[str, str]) -> None:
        sources = [source_of(path, text) for path, text in modules.items()]
        self.modules = ModuleSet(sources, now_ms=NOW_MS)
        self.modules.load_all()
        self.committer = Committer(MemoryPersistence())
        self.seed = b"s" * 32

    def system(self, change: Callable[[Any], object]) -> None:
        tx = self.committer.begin(system=True)
        change(tx)
        self.committer.accept(tx.finish())

    def index(self, table: str, name: str, *fields: str, **options: bool) -> None:
        self.system(
            lambda tx: definitions.create_index(tx, table, name, fields, **options)
        )

    def table(self, name: str) -> None:
        self.system(lambda tx: definitions.create_table(tx, name))

    def insert(self, table: str, *documents: dict[str, Any]) -> list[str]:
        tx = self.committer.begin()
        ids = [tx.insert(table, document) for document in documents]
        self.committer.accept(tx.finish())
        return ids

    def outcome(
        self,
        kind: Any,
        path: str,
        args: dict[str, Any],
        *,
        identity: Identity | None = None,
        admin: bool = False,
        journal: str | None = None,
        stored: bool = False,
    ) -> Outcome:
        tx = self.committer.begin(writable=kind == "mutation")
        self.last_tx = tx
        outcome = runner.run(
            self.modules,
            path,
            to_wire(args),
            tx,
            kind=kind,
            identity=identity,
            admin=admin,
            seed=self.seed,
            now_ms=NOW_MS,
            journal=journal,
            secret=b"secret",
            stored=stored,
        )
        if kind == "mutation" and outcome.error is None:
            self.committer.accept(tx.finish())
        return outcome

    def query(self, path: str, **args: Any) -> Any:
        return self._value(self.outcome("query", path, args))

    def mutation(self, path: str, **args: Any) -> Any:
        return self._value(self.outcome("mutation", path, args))

    def query_error(self, path: str, **args: Any) -> FunctionError:
        return self._error(self.outcome("query", path, args))

    def mutation_error(self, path: str, **args: Any) -> FunctionError:
        return self._error(self.outcome("mutation", path, args))

    @staticmethod
    def _value(outcome: Outcome) -> Any:
        assert outcome.error is None, outcome.error.message
        assert outcome.value is not None
        return from_wire(outcome.value)

    @staticmethod
    def _error(outcome: Outcome) -> FunctionError:
        assert outcome.error is not None, outcome.value
        assert outcome.value is None
        return outcome.error


def lab_of(text: str = "", **modules: str) -> Lab:
    """A lab with the module `m`, and others by name; `__` in a name is a folder."""
    others = {
        name.replace("__", "/"): HEADER + textwrap.dedent(body)
        for name, body in modules.items()
    }
    return Lab({"m": HEADER + textwrap.dedent(text), **others})


def analysis_of(text: str, **modules: str) -> Analysis:
    """What a push of the module `m` finds; the header takes two lines."""
    others = [
        source_of(name.replace("__", "/"), HEADER + textwrap.dedent(body))
        for name, body in modules.items()
    ]
    return analyze(
        [ModuleSource("m", HEADER + textwrap.dedent(text)), *others], now_ms=NOW_MS
    )
