"""An inventory: the names of what a deployment has, for whoever completes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# The fields and the indexes that every table has.
_GIVEN: Final = ("_id", "_creationTime")
BUILT_IN: Final = {"by_creation_time": ("_creationTime",), "by_id": ("_id",)}


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its name, what kind it is (database, unique, search, vector), its fields."""

    name: str
    kind: str
    fields: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether ranges are read over it."""
        return self.kind in {"database", "unique"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its kind, whether clients may call it, what it takes."""

    kind: str
    is_public: bool
    arguments: tuple[str, ...]


def _unknown(table: str) -> tuple[str, ...]:
    del table
    return ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a deployment has.

    Attributes:
        tables: their indexes, by name.
        functions: by path.
        modules: the paths of all, those without functions too.
        fields: those of a table, without the system's.
    """

    tables: Mapping[str, tuple[Index, ...]] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    modules: Sequence[str] = ()
    fields: Callable[[str], Iterable[str]] = _unknown

    def of_kind(self, *kinds: str, public: bool = False) -> list[str]:
        """The paths of the functions of these kinds."""
        return [
            path
            for path, function in self.functions.items()
            if function.kind in kinds and (function.is_public or not public)
        ]

    def arguments(self, ref: str | None) -> tuple[str, ...]:
        """What a function takes: one named by path, or as `api.tasks.create`."""
        path = _path(ref or "")
        found = self.functions.get(path) or self.functions.get(f"{path}:default")
        return found.arguments if found is not None else ()

    def all_fields(self, table: str | None) -> list[str]:
        """A table's fields, the system's too."""
        if table is None or table not in self.tables:
            return []
        return [*self.fields(table), *_GIVEN]

    def index(self, table: str | None, name: str | None) -> Index | None:
        """An index of a table."""
        if name in BUILT_IN:
            return Index(name, "database", BUILT_IN[name])
        indexes = self.tables.get(table or "", ())
        return next((index for index in indexes if index.name == name), None)


def _path(ref: str) -> str:
    """`api.admin.users.list` as `admin/users:list`."""
    root, _, rest = ref.partition(".")
    if root not in {"api", "internal"}:
        return ref
    module, _, name = rest.rpartition(".")
    return f"{module.replace('.', '/')}:{name}"
