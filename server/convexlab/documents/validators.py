"""The kinds of validators for single values: scalars, literals and ids.

An id is judged by the table number that it carries, never by looking for the
document.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, final

from convexlab.documents.display import show
from convexlab.documents.encoding import to_json_object
from convexlab.documents.equality import values_equal
from convexlab.documents.ids import decode_id
from convexlab.documents.validator import (
    ALL_TYPES,
    NO_MATCH,
    Fits,
    Mismatch,
    TableNumbers,
    Validator,
    belongs,
    is_identifier,
)
from convexlab.documents.value import Int64
from convexlab.errors import InvalidValue, SchemaViolation

if TYPE_CHECKING:
    from collections.abc import Mapping


@final
class NullValidator(Validator):
    """None."""

    kind = "null"
    wire = "null"
    python = frozenset({NoneType})


@final
class Float64Validator(Validator):
    """A number, int or float, but not an Int64."""

    kind = "float64"
    wire = "number"
    python = frozenset({int, float})


@final
class Int64Validator(Validator):
    """An Int64."""

    kind = "int64"
    wire = "bigint"
    python = frozenset({Int64})


@final
class CommitTsValidator(Validator):
    """An Int64 that is the timestamp of a commit, in nanoseconds."""

    kind = "commitTs"
    wire = "commitTs"
    python = frozenset({Int64})

    def __str__(self) -> str:
        return "v.commit_ts()"


@final
class BooleanValidator(Validator):
    """True or False."""

    kind = "boolean"
    wire = "boolean"
    python = frozenset({bool})


@final
class StringValidator(Validator):
    """A str."""

    kind = "string"
    wire = "string"
    python = frozenset({str})


@final
class BytesValidator(Validator):
    """Bytes."""

    kind = "bytes"
    wire = "bytes"
    python = frozenset({bytes})


@final
class AnyValidator(Validator):
    """Any value."""

    kind = "any"
    wire = "any"
    python = ALL_TYPES


@final
@dataclass(frozen=True, eq=False, repr=False)
class LiteralValidator(Validator):
    """Exactly one value."""

    kind = wire = "literal"
    value: bool | int | float | str

    def __post_init__(self) -> None:
        kind = type(self.value)
        if kind not in (bool, int, float, str, Int64):
            raise SchemaViolation(
                f"v.literal({self.value!r}) cannot be: a literal is a string, a number, an "
                "Int64 or a bool (for None there is v.null())"
            )
        if kind is float and not math.isfinite(self.value):  # type: ignore[arg-type]  # kind is float
            raise SchemaViolation(
                f"v.literal({self.value!r}) cannot be: it is not finite"
            )

    def _parts(self) -> dict[str, Any]:
        return {"value": to_json_object(self.value)}

    def _find(self, value: Any, _tables: TableNumbers, path: str, /) -> Mismatch | None:
        if values_equal(value, self.value):
            return None
        return Mismatch(
            f"`{show(value)}` does not match literal validator `{self}`.",
            path,
            value,
            self,
        )

    def _judge(self, _tables: TableNumbers, /) -> Fits:
        literal = self.value
        return lambda value: values_equal(value, literal)

    def __str__(self) -> str:
        return f"v.literal({show(self.value)})"


@final
@dataclass(frozen=True, eq=False, repr=False)
class IdValidator(Validator):
    """An id of one table, whether or not its document exists."""

    kind = wire = "id"
    table_name: str

    def __post_init__(self) -> None:
        if not is_identifier(self.table_name):
            raise SchemaViolation(
                f'v.id({self.table_name!r}) cannot be: it takes a table\'s name, as in v.id("users")'
            )

    def _parts(self) -> dict[str, Any]:
        return {"tableName": self.table_name}

    def _find(self, value: Any, tables: TableNumbers, path: str, /) -> Mismatch | None:
        try:
            number = decode_id(value)[0] if type(value) is str else None
        except InvalidValue:
            number = None
        if number is None:
            return Mismatch(NO_MATCH, path, value, self)
        if belongs(number, self.table_name, tables):
            return None
        names = [name for name in tables if tables[name] == number]
        found = (
            f"`{names[0]}`"
            if names
            else f"number {number}, which this deployment lacks"
        )
        return Mismatch(
            f"Found ID `{value}` from table {found}, which does not match the table "
            f"name in validator `{self}`.",
            path,
            value,
            self,
        )

    def _judge(self, tables: TableNumbers, /) -> Fits:
        name = self.table_name
        number_of = tables.get

        def fits(value: Any) -> bool:
            if type(value) is not str:
                return False
            try:
                number = decode_id(value)[0]
            except InvalidValue:
                return False
            return number == number_of(name) or belongs(number, name, tables)

        return fits

    def __str__(self) -> str:
        return f'v.id("{self.table_name}")'


SCALARS: Final[Mapping[str, type[Validator]]] = {
    kind.wire: kind
    for kind in (
        NullValidator,
        Float64Validator,
        Int64Validator,
        CommitTsValidator,
        BooleanValidator,
        StringValidator,
        BytesValidator,
        AnyValidator,
    )
}
