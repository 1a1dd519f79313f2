"""Decoding: a batch of stored documents, by their fields.

A table's documents are mostly like those before them. So they are decoded as rows of
the types that its columns have, which finds out in the same go, at the speed of C,
whether they are: then nobody looks at the types of single values, and a column of
scalars is as it was. Where a document is otherwise in anything, all of the batch are
decoded as they come, and the columns widened.

What an expected row is, is all in `_Expected`: null is allowed in a field that had null
in some document before, and nothing in one that was missing, so that a batch of rows
never says anything new of a column of scalars.

Invariants
    D1  What `observed` and `arrow_columns` make of `decoded` is what they make of
        `Fields` of the same documents.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec

from convexlab.documents.bodies import from_bodies_as, from_bodies_each
from convexlab.followers.columnar.kinds import NUMBER, STRING, WHOLE, Kind, Scalar
from convexlab.followers.columnar.values import (
    NUMBERS,
    Fields,
    Sizes,
    Values,
    arrow_type,
    sizes_of,
    values_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from convexlab.followers.columnar.shredding import Column

# Rows of more fields than this are not expected: making their type takes too long.
_MOST_FIELDS: Final = 64
_TYPES: Final[dict[Kind, type]] = {
    WHOLE: int,
    NUMBER: float,
    STRING: str,
    Scalar("boolean"): bool,
}
# What msgspec does not take in a name, and in a number: JSON would say it otherwise.
_ODD_IN_NAMES: Final = frozenset('"\\')
_SYSTEM: Final[tuple[_Expected, ...]] = (
    ("_id", STRING, False, False),
    ("_creationTime", NUMBER, False, False),
)

# Of a field: its name; its kind, if rows of it are checked; whether it may be null, or
# missing, in them.
_Expected: TypeAlias = tuple[str, Scalar | None, bool, bool]
_Rows: TypeAlias = "list[Any]"


class FieldValues(Protocol):
    """A field of each document of a batch: `Values`, or what was found to be as expected."""

    @property
    def kind(self) -> Kind:
        """The narrowest that holds them all."""

    @property
    def nones(self) -> int:
        """How many are none."""

    @property
    def has_odd(self) -> bool:
        """Whether there are NaN or negative zeros among numbers."""

    @property
    def is_plain(self) -> bool:
        """Whether JSON says all of them without tags."""

    @property
    def sizes(self) -> Sizes | None:
        """Those of the numbers, if it is numbers."""

    def array(self, kind: Kind) -> pa.Array:
        """Them as an array of a kind that holds them."""


class Batch(Protocol):
    """Documents by their fields: `Fields`, or rows as expected."""

    @property
    def names(self) -> list[str]:
        """Every field that one of them has."""

    def missing(self, name: str) -> int:
        """How many do not have a field."""

    def __getitem__(self, name: str) -> FieldValues:
        """A field of each."""


def decoded(columns: Mapping[str, Column], bodies: Sequence[bytes]) -> Batch:
    """Stored documents by their fields.

    Args:
        columns: what those before them are like.
        bodies: what the store has of them.
    """
    expected = _expected(columns.values())
    if expected is not None:
        rows = from_bodies_as(bodies, _decoder(expected))
        if rows is not None:
            return Rows(expected, rows, bodies)
    return Fields(from_bodies_each(bodies))


def _expected(columns: Iterable[Column]) -> tuple[_Expected, ...] | None:
    """The fields of the next rows; None: anything may come."""
    found = (*_SYSTEM, *map(_expectation, columns))
    if not len(_SYSTEM) < len(found) <= _MOST_FIELDS:
        return None
    return None if any(_ODD_IN_NAMES & {*name} for name, *_ in found) else found


def _expectation(column: Column) -> _Expected:
    kind = column.kind
    if isinstance(kind, Scalar) and kind in _TYPES:
        return column.name, kind, column.has_null, column.has_missing
    return column.name, None, True, True


@lru_cache(maxsize=64)
def _decoder(expected: tuple[_Expected, ...]) -> Callable[[bytes], _Rows]:
    fields = [(f"f{at}", *_defined(each)) for at, each in enumerate(expected)]
    row = msgspec.defstruct(
        "Row", fields, kw_only=True, forbid_unknown_fields=True, gc=False
    )
    return msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]  # made above


def _defined(expected: _Expected) -> tuple[Any, Any]:
    """The type of a field of the rows, and what it is where it is missing."""
    name, kind, may_be_null, may_be_missing = expected
    if kind is None:
        return Any, msgspec.field(name=name, default=msgspec.UNSET)
    of = _TYPES[kind] | None if may_be_null else _TYPES[kind]
    if may_be_missing:
        return of, msgspec.field(name=name, default=None)
    return of, msgspec.field(name=name)


class Rows:
    """Documents that are as expected.

    Args:
        expected: of their fields.
        rows: of the type that `_decoder` makes of that.
        bodies: what they were decoded from.
    """

    def __init__(
        self, expected: tuple[_Expected, ...], rows: _Rows, bodies: Sequence[bytes]
    ) -> None:
        self._rows = rows
        self._bodies = bodies
        self._places = {each[0]: (f"f{at}", *each) for at, each in enumerate(expected)}
        self._values: dict[str, FieldValues] = {}
        self._missing: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """Every field that was expected: those that no row has say so."""
        return [*self._places]

    def missing(self, name: str) -> int:
        """How many do not have a field; of one that may be null and missing, 0."""
        self[name]
        return self._missing[name]

    def __getitem__(self, name: str) -> FieldValues:
        """A field of each."""
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = self._gathered(name)
        return found

    @cached_property
    def _has_packed(self) -> bool:
        """Whether lists in them are packed: there is nothing else with this letter."""
        return any(b"$" in body for body in self._bodies)

    def _gathered(self, name: str) -> FieldValues:
        attribute, _, kind, may_be_null, may_be_missing = self._places[name]
        values = list(map(attrgetter(attribute), self._rows))
        if kind is None:
            self._missing[name] = values.count(msgspec.UNSET)
            if self._missing[name]:
                values = [None if each is msgspec.UNSET else each for each in values]
            return (
                values_in(values, self._bodies) if self._has_packed else Values(values)
            )
        nones = values.count(None) if may_be_null or may_be_missing else 0
        self._missing[name] = 0 if may_be_null else nones
        return Checked(values, kind, nones)


class Checked:
    """Values of one kind, which were found to be of it as they were decoded.

    Args:
        values: None where there is none.
        kind: of the others; there may be none of them.
        nones: how many are none.
    """

    has_odd = False  # these are stored with tags
    is_plain = True

    def __init__(self, values: Sequence[Any], kind: Scalar, nones: int) -> None:
        self.kind: Kind = kind
        self.nones = nones
        self._scalar = kind
        self._values = values

    def array(self, kind: Kind) -> pa.Array:
        """Them as an array of their kind: no batch of rows widens a column of scalars."""
        assert kind == self.kind, (kind, self.kind)
        return self._array

    @cached_property
    def _array(self) -> pa.Array:
        import pyarrow as pa

        return pa.array(self._values, arrow_type(self._scalar))

    @property
    def sizes(self) -> Sizes | None:
        """See `FieldValues.sizes`."""
        return sizes_of(self._array) if self._scalar in NUMBERS else None
