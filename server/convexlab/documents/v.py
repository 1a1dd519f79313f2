"""`v`: makes validators, as users write them.

v.object({"name": v.string(), "friends": v.array(v.id("users"))})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from convexlab.documents.containers import (
    ArrayValidator,
    EmbeddingValidator,
    ObjectValidator,
    RecordValidator,
    UnionValidator,
)
from convexlab.documents.validator import Validator, check_validator
from convexlab.documents.validators import (
    AnyValidator,
    BooleanValidator,
    BytesValidator,
    CommitTsValidator,
    Float64Validator,
    IdValidator,
    Int64Validator,
    LiteralValidator,
    NullValidator,
    StringValidator,
)
from convexlab.errors import SchemaViolation


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

    def commit_ts(self) -> CommitTsValidator:
        """An `Int64`: the timestamp of a commit in ns, from `ctx.db.vars.commit_ts`."""
        return CommitTsValidator()

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
        check_validator(validator, "inside of v.optional(…)")
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
