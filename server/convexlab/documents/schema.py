"""Schemas: which tables there are, what their documents look like, how they are indexed.

    schema = define_schema({
        "tasks": define_table({"owner": v.id("users"), "due": v.number()})
        .index("by_owner", ["owner", "due"]),
    })

A schema closes nothing: tables that it does not name take any document. Every
rule about definitions is checked here, when the module that defines them runs,
so a push fails at the user's line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from convexlab import knobs
from convexlab.documents.containers import (
    ObjectValidator,
    UnionValidator,
    embeddings_in,
    refers_to,
    validator_from_json,
)
from convexlab.documents.document import CREATION_TIME, ID, SYSTEM_FIELDS
from convexlab.documents.indexes import (
    AnyIndex,
    IndexDefinition,
    SearchIndexDefinition,
    VectorIndexDefinition,
    check_dimensions,
    check_fields,
    check_name,
    check_quantization,
    check_reachable,
    check_room,
    filter_paths_of,
    may_hold,
    paths_of,
)
from convexlab.documents.v import v
from convexlab.documents.validator import TableNumbers, Validator, is_identifier
from convexlab.documents.validators import AnyValidator, Float64Validator, IdValidator
from convexlab.errors import SchemaViolation, ValueMismatch


@dataclass(eq=False)
class TableDefinition:
    """What a table's documents look like, and its indexes; made with `define_table`."""

    validator: Validator
    indexes: list[IndexDefinition] = field(default_factory=list)
    search_indexes: list[SearchIndexDefinition] = field(default_factory=list)
    vector_indexes: list[VectorIndexDefinition] = field(default_factory=list)

    def __post_init__(self) -> None:
        _check_document_type(self.validator)
        self.validator = _without_system_fields(self.validator)

    def index(
        self,
        name: str,
        fields: Sequence[str],
        *,
        unique: bool = False,
        staged: bool = False,
    ) -> Self:
        """Adds an ordered index over `fields`.

        Args:
            name: unique within the table.
            fields: field paths, most significant first.
            unique: no two documents may agree in all fields.
            staged: built, but not used yet.
        """
        check_name(name, self._names())
        paths = paths_of(name, fields)
        check_fields(name, paths)
        for other in self.indexes:
            if other.fields == paths:
                raise SchemaViolation(
                    f"Indexes `{other.name}` and `{name}` have the same fields: remove one",
                    kind="IndexNotUnique",
                )
        self.indexes.append(
            IndexDefinition(name=name, fields=paths, unique=unique, staged=staged)
        )
        return self

    def search_index(
        self,
        name: str,
        *,
        search_field: str,
        filter_fields: Sequence[str] = (),
        staged: bool = False,
    ) -> Self:
        """Adds a text index over `search_field`, to be narrowed by `filter_fields`."""
        check_name(name, self._names())
        paths_of(name, [search_field])
        filters = filter_paths_of(name, filter_fields)
        check_room(name, self.search_indexes, "search")
        for other in self.search_indexes:
            if (other.search_field, set(other.filter_fields)) == (
                search_field,
                set(filters),
            ):
                raise SchemaViolation(
                    f"Search indexes `{other.name}` and `{name}` have the same fields: remove one",
                    kind="SearchIndexFieldNotUnique",
                )
        self.search_indexes.append(
            SearchIndexDefinition(
                name=name,
                search_field=search_field,
                filter_fields=filters,
                staged=staged,
            )
        )
        return self

    def vector_index(
        self,
        name: str,
        *,
        vector_field: str,
        dimensions: int,
        filter_fields: Sequence[str] = (),
        quantization: Literal["int8"] | None = None,
        staged: bool = False,
    ) -> Self:
        """Adds a vector index over `vector_field`, arrays of `dimensions` numbers.

        Args:
            name: unique within the table.
            vector_field: the path of the arrays.
            dimensions: how many numbers each has, 2 to 4096.
            filter_fields: the fields that a search may be narrowed by.
            quantization: "int8" keeps each number in one byte instead of four once
                there are many vectors: less memory, scores exact to about 0.005.
            staged: built, but not used yet.
        """
        check_name(name, self._names())
        paths_of(name, [vector_field])
        filters = filter_paths_of(name, filter_fields)
        check_room(name, self.vector_indexes, "vector")
        check_dimensions(name, dimensions)
        check_quantization(name, quantization)
        for other in self.vector_indexes:
            if (other.vector_field, other.dimensions) == (vector_field, dimensions):
                raise SchemaViolation(
                    f"Vector indexes `{other.name}` and `{name}` have the same field and "
                    "dimensions: remove one",
                    kind="VectorIndexFieldNotUnique",
                )
        self.vector_indexes.append(
            VectorIndexDefinition(
                name=name,
                vector_field=vector_field,
                dimensions=dimensions,
                filter_fields=filters,
                quantization=quantization,
                staged=staged,
            )
        )
        return self

    def document_validator(self, table: str) -> Validator:
        """The validator with the system fields in each of its objects."""
        system = {ID: IdValidator(table), CREATION_TIME: Float64Validator()}
        return _with_fields(self.validator, system)

    def compile(
        self, table: str, tables: TableNumbers
    ) -> Callable[[Mapping[str, Any]], None]:
        """A fast check of a document or of its fields, with or without the system fields.

        What it returns raises SchemaViolation as Convex words it.
        """
        lenient = {ID: v.optional(v.any()), CREATION_TIME: v.optional(v.any())}
        fits = _with_fields(self.validator, lenient).fits(tables)

        def check(document: Mapping[str, Any]) -> None:
            if not fits(document):
                self._explain(table, document, tables)

        return check

    def _explain(
        self, table: str, document: Mapping[str, Any], tables: TableNumbers
    ) -> None:
        fields = {
            name: item for name, item in document.items() if name not in SYSTEM_FIELDS
        }
        try:
            self.validator.check(fields, tables)
        except ValueMismatch as mismatch:
            raise SchemaViolation(
                f'Failed to insert or update a document in table "{table}" because it does '
                f"not match the schema: {mismatch}"
            ) from None
        raise AssertionError(f"{self.validator} has two opinions of {document!r}")

    def check_reachable(self, table: str) -> None:
        """Refuses an index over what no document can have, and such an embedding.

        Args:
            table: the table's name, for the message.
        """
        for index in self._every_index():
            check_reachable(table, self.validator, index)
        for path, embedding in embeddings_in(self.validator):
            _check_embedding(table, self.validator, path, embedding.source)

    def _every_index(self) -> tuple[AnyIndex, ...]:
        return (*self.indexes, *self.search_indexes, *self.vector_indexes)

    def _names(self) -> list[str]:
        return [index.name for index in self._every_index()]

    # -- as JSON -----------------------------------------------------------------

    def to_json(self, table: str) -> dict[str, Any]:
        """As Convex's schema JSON has a table."""
        json: dict[str, Any] = {"tableName": table}
        for key, staged_key, indexes in (
            ("indexes", "stagedDbIndexes", self.indexes),
            ("searchIndexes", "stagedSearchIndexes", self.search_indexes),
            ("vectorIndexes", "stagedVectorIndexes", self.vector_indexes),
        ):
            json[key] = [index.to_json() for index in indexes if not index.staged]
            json[staged_key] = [index.to_json() for index in indexes if index.staged]
        json["documentType"] = self.validator.json()
        return json


def _table_from_json(json: Mapping[str, Any]) -> TableDefinition:
    table = TableDefinition(
        validator_from_json(json["documentType"] or {"type": "any"})
    )
    for key, staged in (("indexes", False), ("stagedDbIndexes", True)):
        for index in json.get(key, ()):
            table.index(
                index["indexDescriptor"],
                index["fields"],
                unique=index.get("unique", False),
                staged=staged,
            )
    for key, staged in (("searchIndexes", False), ("stagedSearchIndexes", True)):
        for index in json.get(key, ()):
            table.search_index(
                index["indexDescriptor"],
                search_field=index["searchField"],
                filter_fields=index["filterFields"],
                staged=staged,
            )
    for key, staged in (("vectorIndexes", False), ("stagedVectorIndexes", True)):
        for index in json.get(key, ()):
            table.vector_index(
                index["indexDescriptor"],
                vector_field=index["vectorField"],
                dimensions=int(index["dimensions"]),
                filter_fields=index["filterFields"],
                quantization=index.get("quantization"),
                staged=staged,
            )
    return table


@dataclass(frozen=True, eq=False)
class Schema:
    """The tables of a deployment; made with `define_schema`."""

    tables: Mapping[str, TableDefinition] = field(default_factory=dict)
    schema_validation: bool = True
    strict_table_name_types: bool = True

    def __post_init__(self) -> None:
        if len(self.tables) > knobs.MAX_TABLES:
            raise SchemaViolation(
                f"The schema has {len(self.tables)} tables, over the {knobs.MAX_TABLES} allowed",
                kind="TooManyTables",
            )
        for name, table in self.tables.items():
            check_table_name(name)
            if not isinstance(table, TableDefinition):
                raise SchemaViolation(
                    f"Table `{name}` is {table!r}: use define_table. When it is None, a circular "
                    "import is often the reason",
                    kind="SchemaDefinitionError",
                )
            if self.schema_validation:
                table.check_reachable(name)

    def doc(self, table: str) -> Validator:
        """The validator of a whole document of the table, system fields included."""
        return self._table(table).document_validator(table)

    def id(self, table: str) -> IdValidator:
        """`v.id`, for tables of this schema only."""
        self._table(table)
        return IdValidator(table)

    def _table(self, name: str) -> TableDefinition:
        if name not in self.tables:
            raise SchemaViolation(
                f"There is no table `{name}` in the schema, only {', '.join(self.tables) or 'none'}",
                kind="SchemaDefinitionError",
            )
        return self.tables[name]

    def places_of(self, table: str) -> list[str]:
        """Where the schema speaks of a table: its definition, and ids of it elsewhere."""
        own = [f"the table `{table}`"] if table in self.tables else []
        return own + [
            f"`v.id({table!r})` in `{name}`"
            for name, other in self.tables.items()
            if name != table and refers_to(other.validator, table)
        ]

    def to_json(self) -> dict[str, Any]:
        """As Convex's schema JSON."""
        return {
            "tables": [table.to_json(name) for name, table in self.tables.items()],
            "schemaValidation": self.schema_validation,
            "strictTableNameTypes": self.strict_table_name_types,
        }

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Schema:
        """The schema in a schema JSON."""
        return cls(
            {table["tableName"]: _table_from_json(table) for table in json["tables"]},
            json.get("schemaValidation", True),
            json.get("strictTableNameTypes", True),
        )


def define_table(fields: Mapping[str, Validator] | Validator | type) -> TableDefinition:
    """A table.

    Args:
        fields: its documents' fields; or a validator (an object, a union of objects
            or `v.any()`); or a TypedDict, dataclass or Pydantic class.
    """
    if isinstance(fields, Mapping):
        return TableDefinition(v.object(fields))
    return TableDefinition(v.of(fields))


def define_schema(
    tables: Mapping[str, TableDefinition],
    *,
    schema_validation: bool = True,
    strict_table_name_types: bool = True,
) -> Schema:
    """A schema.

    Args:
        tables: by name.
        schema_validation: False turns off the checking of documents; indexes remain.
        strict_table_name_types: for generated types: only these tables have names.
    """
    return Schema(dict(tables), schema_validation, strict_table_name_types)


def check_table_name(name: str) -> None:
    """Refuses what a user's table cannot be called."""
    if not is_identifier(name):
        raise SchemaViolation(
            f"{name!r} cannot be a table's name: letters, digits and `_`, not starting with a "
            f"digit, at most {knobs.MAX_IDENTIFIER_CHARS} characters",
            kind="InvalidTableName",
        )
    if name.startswith("_"):
        raise SchemaViolation(
            f"`{name}` is a reserved table name: names that start with `_` are the system's",
            kind="TableNameReserved",
        )


def _with_fields(validator: Validator, extra: Mapping[str, Validator]) -> Validator:
    """These fields in every object of a document validator."""
    if isinstance(validator, ObjectValidator):
        return validator.extend(extra)
    if isinstance(validator, UnionValidator):
        return UnionValidator(tuple(_with_fields(m, extra) for m in validator.members))
    return validator


def _without_system_fields(validator: Validator) -> Validator:
    """They are always there: what a definition says of them counts for nothing."""
    if isinstance(validator, ObjectValidator):
        return validator.omit(*SYSTEM_FIELDS)
    if isinstance(validator, UnionValidator):
        return UnionValidator(tuple(map(_without_system_fields, validator.members)))
    return validator


def _check_embedding(table: str, validator: Validator, path: str, source: str) -> None:
    if "." in path:
        raise SchemaViolation(
            f"`{path}` of `{table}` is an embedding inside of another field: move it up, "
            "to be a field of the document itself. Only those are kept up to date",
            kind="SchemaDefinitionError",
        )
    if source == path or not may_hold(validator, source.split(".")):
        raise SchemaViolation(
            f"`{path}` of `{table}` is the embedding of `{source}`, which is no text that "
            f"a document of the table can have: its validator is {validator}",
            kind="SchemaDefinitionError",
        )


def _check_document_type(validator: Validator) -> None:
    members = (
        validator.members if isinstance(validator, UnionValidator) else (validator,)
    )
    for member in members:
        if isinstance(member, UnionValidator):
            _check_document_type(member)
        elif not isinstance(member, (ObjectValidator, AnyValidator)):
            raise SchemaViolation(
                f"A table's documents are objects: use v.object, a union of objects or v.any(), "
                f"not {member}",
                kind="InvalidTopLevelTypeInSchemaError",
            )
