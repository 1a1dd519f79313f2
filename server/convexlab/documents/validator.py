"""A validator: what a value may look like, and what is wrong with one that does not.

`.check` tells what is wrong with a value and where; `compile` gives the same
judgement as one fast call, for the path of every write. The kinds are in
`validators` and `containers`; users make them with `v`.

Invariants
    D1  compile(x, tables) accepts exactly what x.check accepts.
    D2  validator_from_json(x.json()) equals x.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, ClassVar, Final, Self, TypeAlias, TypeGuard

from convexlab import knobs
from convexlab.documents.display import show
from convexlab.documents.encoding import to_canonical
from convexlab.documents.value import Int64, Value
from convexlab.errors import SchemaViolation, ValueMismatch

TableNumbers: TypeAlias = Mapping[str, int]
"""The number of each table by its name; no id belongs to a table that is not in it.

Where it is a `NumbersOfTables` it knows former numbers too.
"""


class NumbersOfTables(dict[str, int]):
    """Table numbers, with those that tables had before they were emptied.

    Attributes:
        former: a number that is no longer used, to the one in its place.
    """

    __slots__ = ("former",)

    def __init__(self, numbers: Mapping[str, int], former: Mapping[int, int]) -> None:
        super().__init__(numbers)
        self.former = former


def belongs(number: int, table: str, tables: TableNumbers) -> bool:
    """Whether ids with this number are ids of the table, now or before it was emptied."""
    wanted = tables.get(table)
    if wanted is None or number == wanted:
        return wanted is not None
    return isinstance(tables, NumbersOfTables) and tables.former.get(number) == wanted


Fits: TypeAlias = Callable[[Any], bool]
Types: TypeAlias = frozenset[type]

ALL_TYPES: Final[Types] = frozenset(
    {NoneType, bool, int, float, Int64, str, bytes, list, dict}
)
NO_TYPES: Final[Types] = frozenset()
NO_MATCH: Final = "Value does not match validator."
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_identifier(name: object) -> TypeGuard[str]:
    """Whether a field, table or index may be called so."""
    return (
        isinstance(name, str)
        and len(name) <= knobs.MAX_IDENTIFIER_CHARS
        and _IDENTIFIER.fullmatch(name) is not None
        and name.strip("_") != ""
    )


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What is wrong with a value, not yet put in words: most are of a union's other members."""

    detail: str
    path: str
    value: Any
    validator: Validator
    label: str = "Value"

    def error(self) -> ValueMismatch:
        """As Convex words it."""
        where = f"Path: {self.path}" if self.path else ""
        return ValueMismatch(
            f"{self.detail}\n{where}\n{self.label}: {show(self.value)}\n"
            f"Validator: {self.validator}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Validator:
    """What all validators share; make them with `v`.

    `kind` is Convex's word for the sort of value, `wire` what its JSON calls it.
    `is_optional` says that, as a field of an object, it may be absent. `python` is
    the types all of whose values are accepted; for some validators that is all.
    """

    kind: ClassVar[str]
    wire: ClassVar[str]
    python: ClassVar[Types] = NO_TYPES
    is_optional: bool = field(default=False, kw_only=True)

    def json(self) -> dict[str, Any]:
        """Convex's ValidatorJSON; being optional is said by the object around it."""
        return {"type": self.wire, **self._parts()}

    def check(self, value: Value, tables: TableNumbers, path: str = "") -> None:
        """Raises ValueMismatch with what is wrong, its path, the value and the validator."""
        mismatch = self.mismatch(value, tables, path)
        if mismatch is not None:
            raise mismatch.error()

    def mismatch(
        self, value: Any, tables: TableNumbers, path: str = ""
    ) -> Mismatch | None:
        """What is wrong with `value`, the first thing found."""
        return None if type(value) in self.types() else self._find(value, tables, path)

    def fits(self, tables: TableNumbers) -> Fits:
        """A function that judges a value and says nothing about it."""
        return self._judge(tables)

    def types(self) -> Types:
        """The Python types all of whose values are accepted."""
        return self.python

    def is_decided_by_type(self) -> bool:
        """Whether a value of any other type is refused."""
        return bool(self.types())

    # What a kind of validator says for itself.

    def _parts(self) -> dict[str, Any]:
        return {}

    def _find(self, value: Any, _tables: TableNumbers, path: str, /) -> Mismatch | None:
        return Mismatch(NO_MATCH, path, value, self)

    def _judge(self, _tables: TableNumbers, /) -> Fits:
        types = self.types()
        return lambda value: type(value) in types

    def optional(self) -> Self:
        """The same validator, as a field that may be absent."""
        return dataclasses.replace(self, is_optional=True)

    def required(self) -> Self:
        """The same validator, as a field that must be there."""
        return dataclasses.replace(self, is_optional=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Validator):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[bool, bytes]:
        return self.is_optional, to_canonical(self.json())

    def __repr__(self) -> str:
        return f"v.optional({self})" if self.is_optional else str(self)

    def __str__(self) -> str:
        return f"v.{self.kind}()"


def compile(  # noqa: A001  # read as validators.compile
    validator: Validator, tables: TableNumbers
) -> Callable[[Value], None]:
    """`validator.check` as one fast call; `tables` is looked up anew each time."""
    fits = validator.fits(tables)

    def check(value: Value) -> None:
        if not fits(value):
            mismatch = validator.mismatch(value, tables, "")
            assert mismatch is not None, f"D1: {validator} and {value!r}"
            raise mismatch.error()

    return check


# -- definition-time rules -------------------------------------------------------


def check_validator(part: object, place: str) -> None:
    """Refuses what is no validator where one belongs."""
    if not isinstance(part, Validator):
        shown, way_out = _mistaken(part)
        raise SchemaViolation(
            f"The {place} has {shown} where a validator belongs{way_out}"
        )


def _mistaken(part: object) -> tuple[str, str]:
    """What stands for a validator, as its author wrote it, and what to write."""
    if inspect.ismethod(part) and part.__module__ == f"{__package__}.v":
        return f"v.{part.__name__}", f": call it, v.{part.__name__}()"
    if isinstance(part, type):
        return f"the type {part.__name__}", f": write v.of({part.__name__})"
    if part is None:
        return "None", ", such as v.string(). Is there a circular import?"
    return repr(part), ", such as v.string()"


def check_part(part: object, place: str) -> None:
    """Refuses also an optional one: only fields of objects are."""
    check_validator(part, f"inside of {place}")
    if isinstance(part, Validator) and part.is_optional:
        raise SchemaViolation(
            f"{part!r} cannot stand in {place}: v.optional is for the fields of objects; "
            "for a value that may be null there is v.nullable(…)"
        )
