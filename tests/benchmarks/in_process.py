"""Store, modules and runner in this process: what a function costs without a server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from convexlab.engine import definitions
from convexlab.engine.committer import Committer
from convexlab.engine.limits import NO_LIMITS
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.functions import runner
from convexlab.functions.modules import ModuleSet, ModuleSource, analyze

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal


class InProcess:
    """A store on SQLite, and functions that run on it.

    Args:
        folder: of the store.
        modules: path to source; their schema's tables and indexes are made.
    """

    def __init__(self, folder: Path, modules: Mapping[str, str]) -> None:
        sources = [ModuleSource(path, source) for path, source in modules.items()]
        self._persistence = SqlitePersistence(folder)
        self.committer = Committer(self._persistence)
        self._modules = ModuleSet(sources)
        schema = analyze(sources).schema
        if schema is not None:
            tx = self.committer.begin(system=True)
            definitions.declare_schema(tx, schema)
            for name, table in schema.tables.items():
                for index in table.indexes:
                    definitions.create_index(tx, name, index.name, index.fields)
            definitions.activate_schema(tx)
            self.committer.accept(tx.finish())

    def insert(self, table: str, documents: list[dict[str, Any]]) -> None:
        """Insert documents, durably."""
        tx = self.committer.begin(limits=NO_LIMITS)
        tx.insert_many(table, documents)
        self.committer.accept(tx.finish())
        self.committer.settle_all()

    def query(self, path: str, args: dict[str, Any]) -> Any:
        """A query's value."""
        return msgspec.json.decode(self.query_text(path, msgspec.json.encode(args)))

    def query_text(self, path: str, args: bytes) -> bytes:
        """A query's value as it goes out."""
        return self._run("query", path, args)

    def mutation_text(self, path: str, args: bytes) -> bytes:
        """A mutation's value; it is durable with its group."""
        return self._run("mutation", path, args)

    def _run(self, kind: Literal["query", "mutation"], path: str, args: bytes) -> bytes:
        tx = self.committer.begin(writable=kind == "mutation")
        outcome = runner.run(
            self._modules,
            path,
            args,
            tx,
            kind=kind,
            seed=os.urandom(32),
            now_ms=tx.now_ms,
        )
        if outcome.error is not None or outcome.value is None:
            raise RuntimeError(f"{path} failed: {outcome.error}")
        if kind == "mutation":
            self.committer.accept(tx.finish(), call_id=f"g{os.urandom(8).hex()}")
        return outcome.value

    def close(self) -> None:
        """Make all durable and close the store."""
        self.committer.settle_all()
        self._persistence.close()
