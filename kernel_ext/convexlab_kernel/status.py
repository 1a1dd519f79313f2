"""Status: what a deployment says of itself, as the kernel reads it."""

from __future__ import annotations

from typing import Any

import msgspec


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


class FollowerStatus(msgspec.Struct, frozen=True, rename="camel"):
    """A derived index: how far it is, what it holds, what is wrong with it."""

    name: str
    lag_seconds: float = 0.0
    documents_behind: int | None = None
    building: str | None = None
    building_percent: int | None = None
    documents: int = 0
    failure: str | None = None
    rebuilt: str | None = None

    def __str__(self) -> str:
        if self.failure is not None:
            return f"failed: {self.failure}{self._behind()}"
        if self.building is not None:
            far = f", {self.building_percent} %" if self.building_percent else ""
            return f"is being built (now: table `{self.building}`{far}){self._why()}"
        return f"{self.documents:,} documents{self._behind()}{self._why()}"

    def _why(self) -> str:
        return (
            f"; made anew, since its files were damaged: {self.rebuilt}"
            if self.rebuilt
            else ""
        )

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
