"""The kinds of validators that hold others: arrays, objects, records, unions.

Objects are exact: a field that is not named is refused at every depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from convexlab import knobs
from convexlab.documents.encoding import from_wire_object
from convexlab.documents.floats import are_floats
from convexlab.documents.validator import (
    ALL_TYPES,
    NO_MATCH,
    NO_TYPES,
    Fits,
    Mismatch,
    TableNumbers,
    Types,
    Validator,
    check_part,
    check_validator,
    is_identifier,
)
from convexlab.documents.validators import (
    SCALARS,
    Float64Validator,
    IdValidator,
    LiteralValidator,
    StringValidator,
)
from convexlab.errors import SchemaViolation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LIST: Final[Types] = frozenset({list})
_DICT: Final[Types] = frozenset({dict})


@dataclass(frozen=True, eq=False, repr=False)
class ArrayValidator(Validator):
    """A list of one sort of element."""

    kind = wire = "array"
    element: Validator

    def __post_init__(self) -> None:
        check_part(self.element, "v.array(…)")

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

    def types(self) -> Types:
        """Lists, if an element may be anything."""
        return _LIST if self.element.types() >= ALL_TYPES else NO_TYPES

    def _judge(self, tables: TableNumbers, /) -> Fits:
        if self.types():
            return super()._judge(tables)
        if self.element.is_decided_by_type():
            types = self.element.types()
            if float in types:
                return lambda value: (
                    type(value) is list
                    and (are_floats(value) or types.issuperset(map(type, value)))
                )
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
            check_validator(validator, f"field `{name}`")
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
        check_part(self.key, "the keys of v.record(…)")
        check_part(self.value, "the values of v.record(…)")
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

    def types(self) -> Types:
        """Dicts, if keys and values may be anything, as those of a `Doc`."""
        is_any = self.value.types() >= ALL_TYPES
        return _DICT if is_any and str in self.key.types() else NO_TYPES

    def _judge(self, tables: TableNumbers, /) -> Fits:
        if self.types():
            return super()._judge(tables)
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
            check_part(member, "v.union(…)")

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
        return NO_TYPES.union(*(member.types() for member in self.members))

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


def refers_to(validator: Validator, table: str) -> bool:
    """Whether ids of the table have a place anywhere inside."""
    match validator:
        case IdValidator(table_name=name):
            return name == table
        case ArrayValidator(element=element):
            return refers_to(element, table)
        case ObjectValidator(fields=fields):
            return any(refers_to(part, table) for part in fields.values())
        case RecordValidator(key=key, value=value):
            return refers_to(key, table) or refers_to(value, table)
        case UnionValidator(members=members):
            return any(refers_to(member, table) for member in members)
        case _:
            return False


def embeddings_in(
    validator: Validator, path: str = ""
) -> Iterator[tuple[str, EmbeddingValidator]]:
    """Every embedding anywhere inside, with its path; `*` stands for what has no name."""
    match validator:
        case EmbeddingValidator():
            yield path.removeprefix("."), validator
        case ArrayValidator(element=part) | RecordValidator(value=part):
            yield from embeddings_in(part, f"{path}.*")
        case ObjectValidator(fields=fields):
            for name, part in fields.items():
                yield from embeddings_in(part, f"{path}.{name}")
        case UnionValidator(members=members):
            for member in members:
                yield from embeddings_in(member, path)
        case _:
            pass


# -- from JSON ---------------------------------------------------------------------


def validator_from_json(json: Mapping[str, Any]) -> Validator:
    """The validator in a ValidatorJSON."""
    scalar = SCALARS.get(json.get("type", ""))
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
