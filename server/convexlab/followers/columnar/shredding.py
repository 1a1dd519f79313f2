"""Shredding: documents to columns, a batch at a time.

A column remembers what has been seen in its field besides its kind: whether some
documents have null there, and whether some have nothing. DuckDB has one NULL for
both, so a comparison on the column is exact only while one of them is all there is;
likewise negative zeros and NaN, which DuckDB orders otherwise than documents are. And
between what sizes its numbers lie, so that nobody looks for these before adding them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convexlab.followers.columnar.kinds import NOTHING, Kind, Scalar, join
from convexlab.followers.columnar.values import Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from convexlab.followers.columnar.decoding import Batch


class Column(msgspec.Struct, frozen=True):
    """One field of a table's documents.

    Args:
        name: the field's.
        slot: the column is `c<slot>`: names of fields may be anything.
        kind: what it holds.
        has_null: some document has null in it.
        has_missing: some document does not have it.
        has_odd: some document has NaN or a negative zero in it.
        has_tagged: some document has in it what JSON does not say plainly: Int64, bytes,
            infinity, what is odd; or an array, or an object.
        sizes: see `values.sizes_of`, of all the numbers that were ever in it.
    """

    name: str
    slot: int
    kind: Kind = NOTHING
    has_null: bool = False
    has_missing: bool = False
    has_odd: bool = False
    has_tagged: bool = False
    sizes: Sizes | None = None

    @property
    def is_exact(self) -> bool:
        """Whether comparing the column's values is comparing the documents'."""
        return (
            isinstance(self.kind, Scalar)
            and not (self.has_null and self.has_missing)
            and not self.has_odd
        )

    def widened(self, other: Column) -> Column:
        """What holds what either holds."""
        return msgspec.structs.replace(
            self,
            kind=join(self.kind, other.kind),
            has_null=self.has_null or other.has_null,
            has_missing=self.has_missing or other.has_missing,
            has_odd=self.has_odd or other.has_odd,
            has_tagged=self.has_tagged or other.has_tagged,
            sizes=_both_sizes(self.sizes, other.sizes),
        )


def _both_sizes(some: Sizes | None, others: Sizes | None) -> Sizes | None:
    if some is None or others is None:
        return some or others
    return min(some[0], others[0]), max(some[1], others[1])


Columns = dict[str, Column]  # by the field's name, in the order of the slots


def observed(
    columns: Mapping[str, Column], fields: Batch, *, has_rows: bool
) -> Columns:
    """The columns that hold these documents too.

    Args:
        columns: what there is.
        fields: of the documents.
        has_rows: whether there are documents already, which lack what is new.
    """
    widened = dict(columns)
    for name in dict.fromkeys([*columns, *fields.names]):
        if name.startswith("_"):
            continue
        before = widened.get(name) or Column(name, len(widened), has_missing=has_rows)
        widened[name] = before.widened(_column(before, fields))
    return widened


def are_same(some: Columns, others: Columns) -> bool:
    """Whether the columns have the same kinds, whatever else is known of them."""
    return {name: column.kind for name, column in some.items()} == {
        name: column.kind for name, column in others.items()
    }


def _column(before: Column, fields: Batch) -> Column:
    values, missing = fields[before.name], fields.missing(before.name)
    return Column(
        before.name,
        before.slot,
        kind=values.kind,
        has_null=values.nones > missing,
        has_missing=missing > 0,
        has_odd=values.has_odd,
        has_tagged=not values.is_plain,
        sizes=values.sizes,
    )


def arrow_columns(columns: Mapping[str, Column], fields: Batch) -> dict[str, pa.Array]:
    """The documents' fields as arrays, by the names `c0`, `c1` and so on."""
    return {
        f"c{column.slot}": fields[name].array(column.kind)
        for name, column in columns.items()
    }
