"""A plan's questions to the columnar mirror: the rows of its ranges that pass its filters.

What the mirror is told of an index's range is a condition on documents, since it has no
indexes; what it answers comes in the order of the index or of any fields. It answers as
of what is durable of the snapshot: what came later is the asker's to lay over.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents import expression
from convexlab.documents.aggregates import Aggregation, Groups, decode_groups
from convexlab.documents.bodies import from_bodies_as, from_bodies_each
from convexlab.documents.expression import TRUE, conjuncts, never_fails
from convexlab.documents.ids import encode_id, internal_id_of
from convexlab.documents.ordering import decode_key, encode_key, encode_number
from convexlab.documents.predicate import getter
from convexlab.errors import InvalidValue
from convexlab.followers.columnar.scans import (
    DocumentsRequest,
    GroupsRequest,
    Scan,
    row_key,
)
from convexlab.functions import filters

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from convexlab.documents.expression import FieldPath, Node
    from convexlab.engine.table import IndexInfo, TableInfo
    from convexlab.functions.execution import Execution
    from convexlab.functions.plan import Plan


class _Creation(msgspec.Struct):
    """What orders documents by creation: their other fields are passed over."""

    id: str = msgspec.field(name="_id")
    at: float = msgspec.field(name="_creationTime")


_creations: Final = msgspec.json.Decoder(list[_Creation]).decode
Document = dict[str, Any]
ID_BYTES: Final = 16
_CREATION: Final[tuple[FieldPath, ...]] = (("_creationTime",), ("_id",))


class Found(msgspec.Struct):
    """The next documents of an order.

    Attributes:
        rows: their keys in that order, and their texts.
        is_all: whether there are no more.
    """

    rows: list[tuple[bytes, bytes]]
    is_all: bool


def is_mirrored(plan: Plan) -> bool:
    """Whether the mirror has what a plan reads, in its order."""
    return (
        plan.table is not None
        and not plan.table.is_system
        and plan.index is not None
        and plan.index.fields != ("_id",)
        and plan.ranked is None
        and plan.condition is not None
    )


def judges_all(plan: Plan) -> bool:
    """Whether its filters judge every document; others fail at the first they cannot."""
    return all(never_fails(filters.node_of(each)) for each in plan.where)


class Mirrored:
    """What the mirror says of a plan.

    Attributes:
        is_needed: whether there is no other way to an answer: then it is waited for as
            long as may be, and who asks hears that it is behind.

    Args:
        execution: whose snapshot it is.
        plan: one that `is_mirrored`.
        without: the internal ids of documents that are left out.
        is_sparse: whether few of the rows are known to pass the filters.
    """

    def __init__(
        self,
        execution: Execution,
        plan: Plan,
        without: Collection[bytes] = (),
        *,
        is_sparse: bool = False,
    ) -> None:
        assert plan.table is not None, plan
        assert plan.index is not None, plan
        self.is_needed = False
        self._execution = execution
        self._plan = plan
        self._table: TableInfo = plan.table
        self._index: IndexInfo = plan.index
        self._without = list(without)
        self._is_sparse = is_sparse
        self._fields = self._ordered_by()
        self._gets = [getter(path) for path in self._fields]

    def _ordered_by(self) -> tuple[FieldPath, ...]:
        """The fields that order the rows before their creation does."""
        plan = self._plan
        names = self._index.fields if plan.sort is None else (plan.sort,)
        return tuple(tuple(name.split(".")) for name in names)

    def key(self, document: Document) -> bytes:
        """A document's place in the plan's order."""
        return row_key(self._gets, document)

    def is_key(self, key: bytes) -> bool:
        """Whether these bytes are the key that some document may have."""
        values, internal_id = key[:-ID_BYTES], key[-ID_BYTES:]
        try:
            found = decode_key(values)
        except (InvalidValue, ValueError, IndexError, struct.error):
            return False
        return (
            len(found) == len(self._fields) + 1
            and isinstance(found[-1], float)
            and len(internal_id) == ID_BYTES
            and encode_key(*found) == values
        )

    def next_rows(self, after: bytes | None, most: int, most_bytes: int) -> Found:
        """The rows behind a key in the plan's order.

        Args:
            after: the key; None: from the beginning.
            most: how many rows.
            most_bytes: not more, once their texts have so many bytes.
        """
        texts = self.texts(after, most, most_bytes)
        keys = self._keys(texts)
        is_all = len(texts) < most and sum(map(len, texts)) < most_bytes
        return Found(list(zip(keys, texts, strict=True)), is_all)

    def _keys(self, texts: list[bytes]) -> list[bytes]:
        """The places of documents, of which no more is decoded than these are made of."""
        places = None if self._fields else from_bodies_as(texts, _creations)
        if places is None:
            return list(map(self.key, from_bodies_each(texts)))
        return [encode_number(each.at) + internal_id_of(each.id) for each in places]

    def texts(self, after: bytes | None, most: int, most_bytes: int) -> list[bytes]:
        """The bodies of `next_rows`."""
        plan = self._plan
        sort = self._fields[plan.fixed if plan.sort is None else 0 :]
        is_by_creation = not sort or sort[0] == _CREATION[0]
        request = DocumentsRequest(
            self._scan(None if is_by_creation else after),
            () if is_by_creation else sort,
            after=self._creation_of(after) if after and is_by_creation else None,
            is_reversed=plan.is_reversed,
            most=most,
            most_bytes=most_bytes,
            is_sparse=self._is_sparse,
        )
        told = self._ask(b"documents\n" + msgspec.msgpack.encode(request))
        return msgspec.msgpack.decode(told, type=list[bytes])

    def groups(self, aggregation: Aggregation) -> Groups:
        """The groups of all rows."""
        request = GroupsRequest(self._scan(None), aggregation)
        told = self._ask(b"groups\n" + msgspec.msgpack.encode(request))
        return decode_groups(aggregation, told)

    def _scan(self, after: bytes | None) -> Scan:
        parts: list[Node] = [self._plan.condition or TRUE]
        if after is not None:
            parts.append(self._beyond(after))
        parts += [filters.node_of(each) for each in self._plan.where]
        node: Node = ("and", *parts)
        is_everything = all(part == TRUE for part in conjuncts(node))
        return Scan(
            int(self._table.number),
            int(self._table.id_number),
            None if is_everything else expression.encode(node),
            self._without,
        )

    def _creation_of(self, key: bytes) -> tuple[float, str]:
        """When the document of a key was created, and its id."""
        *_, created = decode_key(key[:-ID_BYTES])
        return created, encode_id(self._table.id_number, key[-ID_BYTES:])

    def _beyond(self, key: bytes) -> Node:
        """What is behind a key in the plan's order, as a condition on documents."""
        paths = (*self._fields, *_CREATION)
        values = [*decode_key(key[:-ID_BYTES])[:-1], *self._creation_of(key)]
        fixed = self._plan.fixed if self._plan.sort is None else 0
        return beyond(paths[fixed:], values[fixed:], is_reversed=self._plan.is_reversed)

    def _ask(self, request: bytes) -> bytes:
        execution = self._execution
        at = execution.tx.snapshot.durable_ts
        if self.is_needed:
            return execution.ask_once("columnar", request, at)
        return execution.derived.ask(
            "columnar",
            request,
            at=at,
            patience_seconds=min(
                knobs.SCAN_PATIENCE_SECONDS, execution.patience_seconds
            ),
        )


def beyond(
    paths: Sequence[FieldPath], values: Sequence[Any], *, is_reversed: bool
) -> Node:
    """The condition that a document's fields, one after another, come behind these values.

    Args:
        paths: the fields.
        values: theirs.
        is_reversed: whether what is smaller comes behind.
    """
    sign = "lt" if is_reversed else "gt"
    (path, *others), (value, *rest) = paths, values
    field, literal = ("field", *path), ("literal", value)
    if not others:
        return (sign, field, literal)
    # N.B. the first of both is what lets DuckDB pass over whole blocks of rows, and the
    # other asks for no order again, which would cost as much as all else.
    at_least: Node = (f"{sign}e", field, literal)
    further = beyond(others, rest, is_reversed=is_reversed)
    return ("and", at_least, ("or", ("neq", field, literal), further))
