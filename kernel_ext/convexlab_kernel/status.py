"""Status: what a deployment says of itself, as the kernel reads it."""

from __future__ import annotations

from typing import Any

import msgspec

from convexlab_kernel.display import counted


class TableStatus(msgspec.Struct, frozen=True):
    """A table: its name, its documents, its indexes."""

    name: str
    count: int | None = None
    indexes: list[Any] = []


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a module came from: a cell of a notebook, or a file.

    Args:
        kind: `cell` or `file`.
        name: the notebook's or the file's.
        cell: its number in the kernel that ran it, as in `In[3]`.
        position: its place in a notebook that was deployed without a kernel.
        path: the notebook's, on the machine of the kernel that ran it.
    """

    kind: str = "file"
    name: str = ""
    cell: int | None = None
    position: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        if self.kind != "cell":
            return self.name or "a file"
        where = self.name or "a notebook"
        if self.position is not None:
            return f"{where}, cell {self.position}"
        return f"{where}, In[{self.cell}]" if self.cell is not None else where


class ModuleStatus(msgspec.Struct, frozen=True, rename={"pushed_ms": "pushedAt"}):
    """A module: its origin, when this version came, and its functions."""

    path: str
    origin: Origin | None = None
    functions: list[Any] = []
    source: str | None = None
    pushed_ms: float | None = None

    def described(self) -> list[tuple[str, str]]:
        """The functions as (kind, name)."""
        return [described(function) for function in self.functions]


class IndexPart(msgspec.Struct, frozen=True):
    """One of the schema's indexes: what it holds of its table."""

    texts: int = 0
    vectors: int = 0


class FollowerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A derived index: how far it is, what it holds, what is wrong with it."""

    name: str
    lag_seconds: float = 0.0
    documents_behind: int | None = None
    building: str | None = None
    building_percent: int | None = None
    documents: int | None = None
    indexes: list[IndexPart] = []
    embedded: int | None = None
    wanted: int = 0
    failure: str | None = None
    problem: str | None = None
    rebuilt: str | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name if self.embedded is not None else f"{self.name} index"

    def __str__(self) -> str:
        if self.failure is not None:
            return f"failed: {self.failure}{self._behind()}"
        if self.building is not None:
            far = f", {self.building_percent} %" if self.building_percent else ""
            return f"is being built (now: table `{self.building}`{far}){self._why()}"
        return f"{self._holds()}{self._behind()}{self._why()}"

    def _holds(self) -> str:
        if self.embedded is not None:
            left = f", {self.wanted:,} to embed" if self.wanted else ""
            return f"{counted(self.embedded, 'texts')} embedded{left}"
        documents = self.documents
        if documents is None:
            documents = sum(each.texts + each.vectors for each in self.indexes)
        return counted(documents, "documents")

    def _why(self) -> str:
        why = f"; {self.problem}" if self.problem else ""
        if self.rebuilt:
            why += f"; made anew, since its files were damaged: {self.rebuilt}"
        return why

    def _behind(self) -> str:
        if not self.documents_behind:
            return f", {self.lag_seconds:.1f} s behind" if self.lag_seconds else ""
        return (
            f", {self.lag_seconds:.1f} s or {self.documents_behind:,} documents behind"
        )


class Status(msgspec.Struct, frozen=True):
    """What `GET /api/convexlab/status` answers."""

    version: str = ""
    engine: str = ""
    url: str = ""
    tables: list[TableStatus] = []
    modules: list[ModuleStatus] = []
    ts: Any = None
    processes: list[Any] = []
    followers: list[FollowerStatus] = []

    def module(self, path: str) -> ModuleStatus | None:
        """The module of this path."""
        return next((module for module in self.modules if module.path == path), None)

    def function_paths(self) -> list[str]:
        """Every function's path."""
        return [
            f"{module.path}:{name}"
            for module in self.modules
            for _, name in module.described()
        ]


def described(function: Any) -> tuple[str, str]:
    """A function as its function-spec item has it, as (kind, name)."""
    if isinstance(function, str):
        return "", function.rpartition(":")[2]
    kind = str(function.get("functionType", function.get("kind", ""))).lower()
    if kind == "httpaction":
        return (
            "http",
            f"{function.get('method', '')} {function.get('path', '')}".strip(),
        )
    name = str(function.get("identifier", function.get("name", ""))).rpartition(":")[2]
    visibility = function.get("visibility")
    said = visibility.get("kind") if isinstance(visibility, dict) else visibility
    return (f"internal {kind}" if said == "internal" else kind), name
