"""Validators: what a value may look like, said in Python, kept as Convex's JSON.

`v.object({"name": v.string()})` makes one; `.json()` and `validator_from_json`
carry it; `.check` tells what is wrong with a value and where; `compile` gives the
same judgement as one fast call, for the path of every write.

Objects are exact: a field that is not named is refused at every depth. Ids are
judged by the table number that they carry, never by looking for the document.

Invariants
    D1  compile(x, tables) accepts exactly what x.check accepts.
    D2  validator_from_json(x.json()) equals x.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, ClassVar, Final, Self, TypeAlias, TypeGuard, final

from convexlab import knobs
from convexlab.documents.display import show
from convexlab.documents.encoding import from_wire_object, to_canonical, to_json_object
from convexlab.documents.ids import decode_id
from convexlab.documents.value import Int64, Value, values_equal
from convexlab.errors import InvalidValue, SchemaViolation, ValueMismatch

TableNumbers: TypeAlias = Mapping[str, int]
"""The number of each table by its name; no id belongs to a table that is not in it."""

Fits: TypeAlias = Callable[[Any], bool]
Types: TypeAlias = frozenset[type]

_ALL: Final[Types] = frozenset(
    {NoneType, bool, int, float, Int64, str, bytes, list, dict}
)
_NONE: Final[Types] = frozenset()
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
    python: ClassVar[Types] = _NONE
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
        return self.wire in _SCALARS

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


# -- scalars --------------------------------------------------------------------


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
    python = _ALL


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
        if number == tables.get(self.table_name):
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
            try:
                return type(value) is str and decode_id(value)[0] == number_of(name)
            except InvalidValue:
                return False

        return fits

    def __str__(self) -> str:
        return f'v.id("{self.table_name}")'


# -- containers -----------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class ArrayValidator(Validator):
    """A list of one sort of element."""

    kind = wire = "array"
    element: Validator

    def __post_init__(self) -> None:
        _check_part(self.element, "v.array(…)")

    def _parts(self) -> dict[str, Any]:
        return {"value": self.element.json()}

    def _find(self, value: Any, tables: TableNumbers, path: str, /) -> Mismatch | None:
        if type(value) is not list:
            return Mismatch(NO_MATCH, path, value, self)
        for i, item in enumerate(value):
            mismatch = self.element.mismatch(item, tables, f"{path}[{i}]")
            if mismatch is not None:
                return mismatch
        return None

    def _judge(self, tables: TableNumbers, /) -> Fits:
        if self.element.is_decided_by_type():
            types = self.element.types()
            return lambda value: (
                type(value) is list and types.issuperset(map(type, value))
            )
        fits = self.element.fits(tables)
        return lambda value: type(value) is list and all(map(fits, value))

    def __str__(self) -> str:
        return f"v.array({self.element})"


@final
@dataclass(frozen=True, eq=False, repr=False)
class EmbeddingValidator(ArrayValidator):
    """An array of numbers that the deployment computes from another field."""

    source: str = ""
    model: str | None = None

    def _parts(self) -> dict[str, Any]:
        embedding = {"field": self.source, "model": self.model}
        return {**super()._parts(), "_embedding": embedding}


@final
@dataclass(frozen=True, eq=False, repr=False)
class ObjectValidator(Validator):
    """A dict with these fields and no others."""

    kind = wire = "object"
    fields: Mapping[str, Validator]

    def __post_init__(self) -> None:
        for name, validator in self.fields.items():
            if not is_identifier(name):
                raise SchemaViolation(
                    f"v.object: {name!r} cannot be a field's name: letters, digits and `_`, not "
                    f"starting with a digit, at most {knobs.MAX_IDENTIFIER_CHARS} characters"
                )
            _check_validator(validator, f"field `{name}`")
        object.__setattr__(self, "fields", dict(self.fields))

    def _parts(self) -> dict[str, Any]:
        fields = {
            name: {"fieldType": validator.json(), "optional": validator.is_optional}
            for name, validator in self.fields.items()
        }
        return {"value": fields}

    def _find(self, value: Any, tables: TableNumbers, path: str, /) -> Mismatch | None:
        if type(value) is not dict:
            return Mismatch(NO_MATCH, path, value, self)
        for name, validator in self.fields.items():
            if name in value:
                mismatch = validator.mismatch(value[name], tables, f"{path}.{name}")
                if mismatch is not None:
                    return mismatch
            elif not validator.is_optional:
                return Mismatch(
                    f"Object is missing the required field `{name}`. Consider wrapping the "
                    "field validator in `v.optional(...)` if this is expected.",
                    path,
                    value,
                    self,
                    "Object",
                )
        for name in value:
            if name not in self.fields:
                detail = f"Object contains extra field `{name}` that is not in the validator."
                return Mismatch(detail, path, value, self, "Object")
        return None

    def _judge(self, tables: TableNumbers, /) -> Fits:
        types = {name: validator.types() for name, validator in self.fields.items()}
        # Where the type does not decide. N.B. a field missing here is one that its
        # type has decided against, and an unknown field is missing in both.
        deep = {
            name: validator.fits(tables)
            for name, validator in self.fields.items()
            if not validator.is_decided_by_type()
        }
        required = {name for name, part in self.fields.items() if not part.is_optional}
        count = len(types)

        def fits(value: Any) -> bool:
            if type(value) is not dict:
                return False
            try:
                for name, item in value.items():
                    if type(item) not in types[name] and not deep[name](item):
                        return False
            except KeyError:
                return False
            return len(value) == count or required <= value.keys()

        return fits

    def pick(self, *names: str) -> ObjectValidator:
        """Only these fields."""
        return self._with({name: self._field(name) for name in names})

    def omit(self, *names: str) -> ObjectValidator:
        """All but these fields."""
        return self._with(
            {n: part for n, part in self.fields.items() if n not in names}
        )

    def extend(self, fields: Mapping[str, Validator]) -> ObjectValidator:
        """These fields too; a field of the same name is replaced."""
        return self._with({**self.fields, **fields})

    def partial(self) -> ObjectValidator:
        """Every field optional."""
        return self._with({name: part.optional() for name, part in self.fields.items()})

    def _with(self, fields: Mapping[str, Validator]) -> ObjectValidator:
        return ObjectValidator(fields, is_optional=self.is_optional)

    def _field(self, name: str) -> Validator:
        if name not in self.fields:
            raise SchemaViolation(
                f"pick: there is no field `{name}` in {self}, only {', '.join(self.fields)}"
            )
        return self.fields[name]

    def __str__(self) -> str:
        return f"v.object({{{', '.join(f'{n}: {part!r}' for n, part in self.fields.items())}}})"


@final
@dataclass(frozen=True, eq=False, repr=False)
class RecordValidator(Validator):
    """A dict with any keys of one sort and values of one sort."""

    kind = wire = "record"
    key: Validator
    value: Validator

    def __post_init__(self) -> None:
        _check_part(self.key, "the keys of v.record(…)")
        _check_part(self.value, "the values of v.record(…)")
        _check_record_key(self.key)

    def _parts(self) -> dict[str, Any]:
        values = {"fieldType": self.value.json(), "optional": False}
        return {"keys": self.key.json(), "values": values}

    def _find(self, value: Any, tables: TableNumbers, path: str, /) -> Mismatch | None:
        if type(value) is not dict:
            return Mismatch(NO_MATCH, path, value, self)
        for name, item in value.items():
            mismatch = self.key.mismatch(
                name, tables, f"{path}.keys()"
            ) or self.value.mismatch(item, tables, f"{path}.values()")
            if mismatch is not None:
                return mismatch
        return None

    def _judge(self, tables: TableNumbers, /) -> Fits:
        key, item = self.key.fits(tables), self.value.fits(tables)
        return lambda value: (
            type(value) is dict
            and all(map(key, value))
            and all(map(item, value.values()))
        )

    def __str__(self) -> str:
        return f"v.record({self.key}, {self.value})"


@final
@dataclass(frozen=True, eq=False, repr=False)
class UnionValidator(Validator):
    """Whatever one of its members accepts; of none, nothing."""

    kind = wire = "union"
    members: tuple[Validator, ...]

    def __post_init__(self) -> None:
        for member in self.members:
            _check_part(member, "v.union(…)")

    def _parts(self) -> dict[str, Any]:
        return {"value": [member.json() for member in self.members]}

    def _find(self, value: Any, tables: TableNumbers, path: str, /) -> Mismatch | None:
        if len(self.members) == 1:
            return self.members[0].mismatch(value, tables, path)
        if any(member.mismatch(value, tables, path) is None for member in self.members):
            return None
        return Mismatch(NO_MATCH, path, value, self)

    def types(self) -> Types:
        """The types that one of the members accepts whole."""
        return _NONE.union(*(member.types() for member in self.members))

    def is_decided_by_type(self) -> bool:
        """Whether no member looks closer."""
        return all(member.is_decided_by_type() for member in self.members)

    def _judge(self, tables: TableNumbers, /) -> Fits:
        types = self.types()
        words = frozenset(
            member.value
            for member in self.members
            if isinstance(member, LiteralValidator) and type(member.value) is str
        )
        deep = [
            member.fits(tables)
            for member in self.members
            if not member.is_decided_by_type()
            and not (isinstance(member, LiteralValidator) and type(member.value) is str)
        ]

        def fits(value: Any) -> bool:
            kind = type(value)
            if kind in types or (kind is str and value in words):
                return True
            return any(judge(value) for judge in deep)

        return fits

    def __str__(self) -> str:
        return f"v.union({', '.join(map(str, self.members))})"


_SCALARS: Final[Mapping[str, type[Validator]]] = {
    kind.wire: kind
    for kind in (
        NullValidator,
        Float64Validator,
        Int64Validator,
        BooleanValidator,
        StringValidator,
        BytesValidator,
        AnyValidator,
    )
}


# -- definition-time rules -------------------------------------------------------


def _check_validator(part: object, place: str) -> None:
    if not isinstance(part, Validator):
        raise SchemaViolation(
            f"The {place} has {part!r} where a validator belongs, such as v.string(). "
            "When it is None, a circular import is often the reason"
        )


def _check_part(part: object, place: str) -> None:
    _check_validator(part, f"inside of {place}")
    if isinstance(part, Validator) and part.is_optional:
        raise SchemaViolation(
            f"{part!r} cannot stand in {place}: v.optional is for the fields of objects; "
            "for a value that may be null there is v.nullable(…)"
        )


def _check_record_key(key: Validator) -> None:
    if isinstance(key, UnionValidator):
        for member in key.members:
            _check_record_key(member)
    elif isinstance(key, LiteralValidator):
        raise SchemaViolation(
            f"Records cannot have string literal keys, as in {key}: use v.object for fields "
            "known beforehand"
        )
    elif not isinstance(key, (StringValidator, IdValidator)):
        raise SchemaViolation(f"The keys of v.record are strings or ids, not {key}")


# -- from JSON, and fast ----------------------------------------------------------


def validator_from_json(json: Mapping[str, Any]) -> Validator:
    """The validator in a ValidatorJSON."""
    scalar = _SCALARS.get(json.get("type", ""))
    if scalar is not None:
        return scalar()
    match json:
        case {"type": "literal", "value": value}:
            return LiteralValidator(from_wire_object(value))  # type: ignore[arg-type]  # it checks
        case {"type": "id", "tableName": str(table)}:
            return IdValidator(table)
        case {"type": "array", "_embedding": {"field": source, "model": model}}:
            return EmbeddingValidator(Float64Validator(), source, model)
        case {"type": "array", "value": element}:
            return ArrayValidator(validator_from_json(element))
        case {"type": "object", "value": fields}:
            return ObjectValidator(
                {name: _field_from_json(part) for name, part in fields.items()}
            )
        case {"type": "record", "keys": keys, "values": {"fieldType": values}}:
            return RecordValidator(
                validator_from_json(keys), validator_from_json(values)
            )
        case {"type": "union", "value": members}:
            return UnionValidator(tuple(map(validator_from_json, members)))
        case _:
            raise SchemaViolation(f"{json!r} is no validator")


def _field_from_json(part: Mapping[str, Any]) -> Validator:
    validator = validator_from_json(part["fieldType"])
    return validator.optional() if part.get("optional") else validator


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


# -- v ----------------------------------------------------------------------------


class Builders:
    """`v`: makes validators."""

    _convert: Callable[[Any], Validator] | None = None

    def null(self) -> NullValidator:
        """None."""
        return NullValidator()

    def number(self) -> Float64Validator:
        """A number: int or float."""
        return Float64Validator()

    def float64(self) -> Float64Validator:
        """The same as `v.number()`."""
        return Float64Validator()

    def int64(self) -> Int64Validator:
        """An `Int64`."""
        return Int64Validator()

    def bigint(self) -> Int64Validator:
        """The same as `v.int64()`."""
        return Int64Validator()

    def boolean(self) -> BooleanValidator:
        """True or False."""
        return BooleanValidator()

    def string(self) -> StringValidator:
        """A str."""
        return StringValidator()

    def bytes(self) -> BytesValidator:
        """Bytes."""
        return BytesValidator()

    def any(self) -> AnyValidator:
        """Any value."""
        return AnyValidator()

    def literal(self, value: bool | float | str) -> LiteralValidator:
        """Exactly `value`: a string, number, Int64 or bool."""
        return LiteralValidator(getattr(value, "value", value))

    def id(self, table_name: str) -> IdValidator:
        """An id of the table."""
        return IdValidator(table_name)

    def array(self, element: Validator) -> ArrayValidator:
        """A list of `element`s."""
        return ArrayValidator(element)

    def object(self, fields: Mapping[str, Validator]) -> ObjectValidator:
        """A dict with exactly these fields."""
        if not isinstance(fields, Mapping):
            raise SchemaViolation(
                f"v.object takes a dict of validators, not {fields!r}"
            )
        return ObjectValidator(fields)

    def record(self, key: Validator, value: Validator) -> RecordValidator:
        """A dict from any `key`s to `value`s."""
        return RecordValidator(key, value)

    def union(self, *members: Validator) -> UnionValidator:
        """Whatever one of the members accepts."""
        return UnionValidator(members)

    def optional(self, validator: Validator) -> Validator:
        """A field that may be absent."""
        _check_validator(validator, "inside of v.optional(…)")
        return validator.optional()

    def nullable(self, validator: Validator) -> UnionValidator:
        """`validator`, or None."""
        return UnionValidator((validator, NullValidator()))

    def embedding(self, field: str, *, model: str | None = None) -> EmbeddingValidator:
        """An optional array of numbers, kept as the embedding of the text in `field`."""
        return EmbeddingValidator(Float64Validator(), field, model, is_optional=True)

    def of(self, annotation: Any) -> Validator:
        """The validator of an annotation, as `v.of(list[str])`, or of a class with fields."""
        if isinstance(annotation, Validator):
            return annotation
        if self._convert is None:
            raise SchemaViolation(
                "v.of needs convexlab's functions, which are not loaded"
            )
        return self._convert(annotation)

    def read_annotations_with(self, convert: Callable[[Any], Validator]) -> None:
        """Tells `of` how to read annotations: a later layer's knowledge."""
        self._convert = convert


v: Final = Builders()


def as_object_validator(fields: Mapping[str, Validator] | Validator) -> Validator:
    """A dict of fields as an object validator; a validator as it is."""
    return fields if isinstance(fields, Validator) else v.object(fields)
