"""The schema's search indexes as functions find them: text and vector alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import SCHEMAS_BY_STATE
from convexlab.errors import InvalidQuery, NotFound

if TYPE_CHECKING:
    from convexlab.documents.indexes import (
        SearchIndexDefinition,
        VectorIndexDefinition,
    )
    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction

    AnySearchIndex = SearchIndexDefinition | VectorIndexDefinition


@overload
def indexes_of(
    tx: Transaction, table: str, kind: Literal["search"]
) -> tuple[TableInfo | None, list[SearchIndexDefinition]]: ...
@overload
def indexes_of(
    tx: Transaction, table: str, kind: Literal["vector"]
) -> tuple[TableInfo | None, list[VectorIndexDefinition]]: ...
def indexes_of(
    tx: Transaction, table: str, kind: Literal["search", "vector"]
) -> tuple[TableInfo | None, list[SearchIndexDefinition] | list[VectorIndexDefinition]]:
    """A table and its indexes of a kind, staged ones included.

    That the schema says so is recorded as read.
    """
    info = tx.table(table)
    tx.read_set.record(SCHEMAS_BY_STATE, EVERYTHING)
    schema = tx.catalog.schema
    described = None
    if schema is not None and info is not None and not info.is_system:
        described = schema.tables.get(info.name)
    if described is None:
        return info, []
    if kind == "search":
        return info, described.search_indexes
    return info, described.vector_indexes


@overload
def find_index(
    tx: Transaction, table: str, name: str, kind: Literal["search"]
) -> tuple[TableInfo, SearchIndexDefinition]: ...
@overload
def find_index(
    tx: Transaction, table: str, name: str, kind: Literal["vector"]
) -> tuple[TableInfo, VectorIndexDefinition]: ...
def find_index(
    tx: Transaction, table: str, name: str, kind: Literal["search", "vector"]
) -> tuple[TableInfo, AnySearchIndex]:
    """A table and its index of this name.

    Raises:
        NotFound: there is none, or it is staged.
    """
    info, indexes = indexes_of(tx, table, kind)
    for index in indexes:
        if index.name == name:
            if index.staged:
                raise NotFound(
                    f"Index {table}.{name} is currently staged and not available to query until it is no longer staged."
                )
            assert info is not None, "it has an index"
            return info, index
    there = ", ".join(index.name for index in indexes) or "none"
    raise NotFound(
        f"{kind.capitalize()} index {table}.{name} not found. Those of {table}: {there}."
    )


def check_filter_field(index: AnySearchIndex, field: str, what: str, kind: str) -> None:
    """Refuses a filter on a field that the index does not have.

    Args:
        index: that is searched.
        field: that the filter names.
        what: kind of index, for the message.
        kind: the refusal's.
    """
    if field not in index.filter_fields:
        known = ", ".join(f"`{name}`" for name in index.filter_fields)
        raise InvalidQuery(
            f"{what} index `{index.name}` has no filter field `{field}`; it has "
            f"{known or 'none'}. Add it to `filter_fields` in the schema.",
            kind=kind,
        )
