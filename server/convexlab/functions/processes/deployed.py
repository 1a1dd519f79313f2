"""What is deployed, as a snapshot names it: the code and the catalog it runs with.

Modules are documents of the system table `_modules` (path, source, origin,
version). A process keeps what it loaded for as long as no commit changed it, and
any run is given the modules of the very snapshot it runs on.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from convexlab.documents.ids import encode_id
from convexlab.engine.catalog import Catalog, load_catalog
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.past import past_catalog
from convexlab.engine.system_tables import MODULES
from convexlab.functions.identity import Identity
from convexlab.functions.module_presence import MODULES_BY_PATH
from convexlab.functions.module_sources import ModuleSource
from convexlab.functions.modules import ModuleSet
from convexlab.functions.processes.messages import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.interval import Interval
    from convexlab.engine.overlay import Row
    from convexlab.engine.persistence.contract import PersistenceSnapshot
    from convexlab.engine.snapshot import Snapshot
    from convexlab.engine.transaction import Transaction


# What the paths of the system's own functions begin with.
SYSTEM: Final = "_system/"


def identity_of(attributes: bytes | None) -> Identity | None:
    """The identity that the gateway found, from its JSON."""
    return None if attributes is None else Identity(msgspec.json.decode(attributes))


class Rows(Protocol):
    """Whatever modules can be read from: a snapshot or a transaction."""

    def rows(
        self, index_id: int, interval: Interval, *, reverse: bool = False
    ) -> Iterator[Row]:
        """All rows of an index range."""


def read_sources(rows: Rows) -> list[Source]:
    """The modules that a snapshot names, by path."""
    found = []
    for _, revision in rows.rows(MODULES_BY_PATH, EVERYTHING):
        document = revision.document
        found.append(
            Source(
                path=document["path"],
                source=document["source"],
                origin=document["origin"].encode(),
                version=document["version"],
                pushed_ms=document["pushedAt"],
            )
        )
    return found


def write_sources(tx: Transaction, sources: list[Source]) -> None:
    """Make `_modules` be these; an unchanged module's document is not written."""
    wanted = {source.path: source for source in sources}
    for _, revision in list(tx.rows(MODULES_BY_PATH, EVERYTHING)):
        document_id = encode_id(MODULES, revision.id)
        source = wanted.pop(revision.document["path"], None)
        if source is None:
            tx.delete(document_id)
        else:
            tx.replace(document_id, _fields(source))
    for source in wanted.values():
        tx.insert("_modules", _fields(source))


def _fields(source: Source) -> dict[str, Any]:
    return {
        "path": source.path,
        "source": source.source,
        "origin": source.origin.decode(),
        "version": source.version,
        "pushedAt": source.pushed_ms,
    }


def to_modules(sources: list[Source]) -> list[ModuleSource]:
    """Sources as the loader takes them."""
    return [
        ModuleSource(s.path, s.source, msgspec.json.decode(s.origin), s.pushed_ms)
        for s in sources
    ]


def module_set(sources: list[Source], previous: ModuleSet | None) -> ModuleSet:
    """Loadable modules; what did not change since `previous` stays loaded."""
    return ModuleSet(to_modules(sources), previous=previous)


def system_modules() -> ModuleSet:
    """The system's own functions; see `functions/system`."""
    root = resources.files("convexlab.functions.system")
    sources = [
        ModuleSource(
            f"{SYSTEM}{folder.name}/{file.name.removesuffix('.py')}",
            file.read_text(encoding="utf-8"),
        )
        for folder in root.iterdir()
        if folder.is_dir() and not folder.name.startswith("_")
        for file in folder.iterdir()
        if file.name.endswith(".py") and not file.name.startswith("_")
    ]
    return ModuleSet(sources)


class Deployed:
    """The newest catalog and modules a process has seen, kept until they change.

    Beside them one catalog and one set of modules of a past moment, so that a look
    back costs the calls that run now nothing.

    Args:
        name: the deployment's.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._catalog: Catalog | None = None
        # As of when, and as of when it was known what has been lost since.
        self._past_catalog: tuple[tuple[int, int], Catalog] | None = None
        self._modules: tuple[int, ModuleSet] | None = None
        self._past_modules: tuple[int, ModuleSet] | None = None
        self._preloaded: ModuleSet | None = None
        self._system: ModuleSet | None = None

    def catalog(
        self, snapshot: Snapshot, base: PersistenceSnapshot | None = None
    ) -> Catalog:
        """The catalog of a snapshot; of a past one if `base` is newer."""
        if base is not None and base.meta.catalog_ts != snapshot.catalog_ts:
            version = (snapshot.catalog_ts, base.meta.catalog_ts)
            if self._past_catalog is None or self._past_catalog[0] != version:
                self._past_catalog = (version, past_catalog(base, snapshot))
            return self._past_catalog[1]
        if self._catalog is None or self._catalog.ts != snapshot.catalog_ts:
            self._catalog = load_catalog(snapshot, ts=snapshot.catalog_ts)
        return self._catalog

    def modules_for(self, path: str, snapshot: Snapshot) -> ModuleSet:
        """The modules that a function's path is looked up in."""
        if not path.startswith(SYSTEM):
            return self.modules(snapshot)
        if self._system is None:
            self._system = system_modules()
        return self._system

    def modules(self, snapshot: Snapshot) -> ModuleSet:
        """The modules of a snapshot."""
        known = self._modules
        if known is not None and snapshot.modules_ts < known[0]:
            return self._modules_before(snapshot, known[1])
        if known is None or known[0] != snapshot.modules_ts:
            previous = self._preloaded or (known and known[1])
            self._modules = known = (
                snapshot.modules_ts,
                self._read(snapshot, previous),
            )
        return known[1]

    def _read(self, snapshot: Snapshot, previous: ModuleSet | None) -> ModuleSet:
        modules = module_set(read_sources(snapshot), previous)
        modules.deployment = self._name
        return modules

    def _modules_before(self, snapshot: Snapshot, newer: ModuleSet) -> ModuleSet:
        """The modules of a snapshot from before the newest."""
        known = self._past_modules
        if known is None or known[0] != snapshot.modules_ts:
            previous = newer if known is None else known[1]
            past = self._read(snapshot, previous)
            self._past_modules = known = (snapshot.modules_ts, past)
        return known[1]

    def preload(self, sources: list[Source]) -> None:
        """Run modules that will be deployed soon, so that no call waits for it."""
        previous = self._modules[1] if self._modules else None
        self._preloaded = module_set(sources, previous)
        self._preloaded.load_all()
