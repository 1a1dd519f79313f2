"""Indexes as schemas define them: ordered, text and vector indexes, and what they may be.

    define_table({...}).index("by_owner", ["owner", "due"])

Whatever is wrong with a definition is refused when it is made, so a push fails at
the user's line. Each refusal carries Convex's name of it as its `kind`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convexlab import knobs
from convexlab.documents.containers import (
    ObjectValidator,
    RecordValidator,
    UnionValidator,
)
from convexlab.documents.document import CREATION_TIME, ID
from convexlab.documents.validator import is_identifier
from convexlab.documents.validators import AnyValidator
from convexlab.errors import SchemaViolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convexlab.documents.validator import Validator

BUILT_IN_INDEXES: Final = frozenset({"by_id", "by_creation_time"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexDefinition:
    """An ordered index: its fields, then the creation time, then the id."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    staged: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """Every field path that it names."""
        return self.fields

    def to_json(self) -> dict[str, Any]:
        """As Convex has it, with `unique` beside it."""
        json: dict[str, Any] = {
            "indexDescriptor": self.name,
            "fields": list(self.fields),
        }
        return {**json, "unique": True} if self.unique else json


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchIndexDefinition:
    """A text index over one field."""

    name: str
    search_field: str
    filter_fields: tuple[str, ...] = ()
    staged: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """Every field path that it names."""
        return (self.search_field, *self.filter_fields)

    def to_json(self) -> dict[str, Any]:
        """As Convex has it."""
        return {
            "indexDescriptor": self.name,
            "searchField": self.search_field,
            "filterFields": list(self.filter_fields),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorIndexDefinition:
    """A vector index over one field."""

    name: str
    vector_field: str
    dimensions: int
    filter_fields: tuple[str, ...] = ()
    quantization: str | None = None
    staged: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """Every field path that it names."""
        return (self.vector_field, *self.filter_fields)

    def to_json(self) -> dict[str, Any]:
        """As Convex has it, with `quantization` beside it."""
        json: dict[str, Any] = {
            "indexDescriptor": self.name,
            "vectorField": self.vector_field,
            "dimensions": self.dimensions,
            "filterFields": list(self.filter_fields),
        }
        return json | ({"quantization": self.quantization} if self.quantization else {})


AnyIndex = IndexDefinition | SearchIndexDefinition | VectorIndexDefinition


# -- what an index may be ---------------------------------------------------------


def check_name(name: str, others: Sequence[str]) -> None:
    """Refuses what an index of a table with these others cannot be called."""
    if not is_identifier(name):
        raise SchemaViolation(
            f"{name!r} cannot be an index's name: letters, digits and `_`, not starting "
            f"with a digit, at most {knobs.MAX_IDENTIFIER_CHARS} characters",
            kind="InvalidIndexName",
        )
    if name.startswith("_") or name in BUILT_IN_INDEXES:
        raise SchemaViolation(
            f"`{name}` is a reserved index name: by_id and by_creation_time are always "
            "there, and names that start with `_` are kept for Convex",
            kind="IndexNameReserved",
        )
    if name in others:
        raise SchemaViolation(
            f"The table has two indexes called `{name}`: rename one",
            kind="IndexNamesNotUnique",
        )
    if len(others) >= knobs.MAX_INDEXES_PER_TABLE:
        raise SchemaViolation(
            f"Index `{name}` is one more than the {knobs.MAX_INDEXES_PER_TABLE} a table may have",
            kind="TooManyIndexes",
        )


def paths_of(index: str, fields: Sequence[str]) -> tuple[str, ...]:
    """The field paths of an index; refuses text in their place, and impossible ones."""
    if isinstance(fields, str):
        raise SchemaViolation(
            f'Index `{index}` takes a list of fields: ["{fields}"]',
            kind="InvalidIndexField",
        )
    paths = tuple(fields)
    for path in paths:
        _check_path(index, path)
    if len(set(paths)) < len(paths):
        raise SchemaViolation(
            f"Index `{index}` names a field twice: {', '.join(paths)}",
            kind="FieldsNotUniqueWithinIndex",
        )
    return paths


def filter_paths_of(index: str, fields: Sequence[str]) -> tuple[str, ...]:
    """The same for filter fields, of which there may be none."""
    paths = paths_of(index, fields)
    if len(paths) > knobs.MAX_FILTER_FIELDS:
        raise SchemaViolation(
            f"Index `{index}` has {len(paths)} filter fields, over the "
            f"{knobs.MAX_FILTER_FIELDS} allowed",
            kind="IndexTooManyFilterFields",
        )
    return paths


def _check_path(index: str, path: str) -> None:
    if path in (ID, CREATION_TIME):
        raise SchemaViolation(
            f"Index `{index}` names `{path}`: every index ends with `_creationTime` and `_id` "
            "by itself, leave it out",
            kind="IndexFieldsContainId" if path == ID else "IndexFieldNameReserved",
        )
    for name in str(path).split("."):
        if not is_identifier(name):
            raise SchemaViolation(
                f"Index `{index}`: {path!r} is no field path, such as `a` or `a.b`",
                kind="InvalidIndexField",
            )
        if name.startswith("_"):
            raise SchemaViolation(
                f"Index `{index}` names the field `{path}`: names that start with `_` are reserved",
                kind="IndexFieldNameReserved",
            )


def check_fields(index: str, fields: tuple[str, ...]) -> None:
    """Refuses too few and too many fields of an ordered index."""
    if len(fields) == 0:
        raise SchemaViolation(
            f"Index `{index}` has no fields: name at least one", kind="EmptyIndex"
        )
    if len(fields) > knobs.MAX_INDEX_FIELDS:
        raise SchemaViolation(
            f"Index `{index}` has {len(fields)} fields, over the {knobs.MAX_INDEX_FIELDS} allowed",
            kind="IndexTooManyFields",
        )


def check_dimensions(index: str, dimensions: object) -> None:
    """Refuses vectors that are too short or too long."""
    least, most = knobs.MIN_VECTOR_DIMENSIONS, knobs.MAX_VECTOR_DIMENSIONS
    if type(dimensions) is not int or not least <= dimensions <= most:
        raise SchemaViolation(
            f"Vector index `{index}` has {dimensions!r} dimensions; {least} to {most} are possible",
            kind="InvalidVectorIndexDimensions",
        )


def check_quantization(index: str, quantization: object) -> None:
    """Refuses a way to keep vectors that there is not."""
    if quantization not in (None, "int8"):
        raise SchemaViolation(
            f"Vector index `{index}` has quantization={quantization!r}; None (32 bits a "
            'number) and "int8" (8 bits) are possible',
            kind="InvalidVectorIndexQuantization",
        )


def check_room(name: str, others: Sequence[object], what: str) -> None:
    """Refuses one text or vector index too many."""
    if len(others) >= knobs.MAX_SPECIAL_INDEXES_PER_TABLE:
        raise SchemaViolation(
            f"`{name}` is one more than the {knobs.MAX_SPECIAL_INDEXES_PER_TABLE} "
            f"{what} indexes a table may have",
            kind="TooManyIndexes",
        )


def check_reachable(table: str, validator: Validator, index: AnyIndex) -> None:
    """Refuses an index over what no document of the table can have."""
    for path in index.paths:
        if not may_hold(validator, path.split(".")):
            raise SchemaViolation(
                f"Index `{index.name}` of `{table}` names the field `{path}`, which no "
                f"document of the table can have: its validator is {validator}",
                kind="SchemaDefinitionError",
            )


def may_hold(validator: Validator, path: Sequence[str]) -> bool:
    """Whether a value that `validator` accepts can have something at the field path."""
    if not path or isinstance(validator, AnyValidator):
        return True
    if isinstance(validator, ObjectValidator):
        part = validator.fields.get(path[0])
        return part is not None and may_hold(part, path[1:])
    if isinstance(validator, RecordValidator):
        return may_hold(validator.value, path[1:])
    if isinstance(validator, UnionValidator):
        return any(may_hold(member, path) for member in validator.members)
    return False
