"""Vector search: the documents whose vectors are nearest, for queries and for actions.

    ctx.db.query("t").with_vector_index("near", vector, limit=10, filter=lambda q: …)
    ctx.vector_search("t", "near", vector=…, limit=10, filter=lambda q: …)

The follower `vector` answers as of what everybody can see; what the transaction and
the group that gathers wrote beyond that is compared here and laid over.

N.B. no NumPy: every function process loads this.

Invariants
    V1  A query depends on all documents that pass its filter and have a vector of the
        index, found or not: any of them could become nearer.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING, Any, Final

from convexlab import knobs
from convexlab.documents.document import get_path
from convexlab.documents.expression import Node, encode as encode_node
from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED, Int64, Undefined, normalize
from convexlab.engine.catalog import SCHEMAS_BY_STATE
from convexlab.engine.interval import EVERYTHING
from convexlab.errors import InvalidArguments, InvalidQuery, LimitExceeded
from convexlab.followers.vector.request import (
    ID_BYTES,
    NAME,
    VectorRequest,
    decode_answer,
    definition_of,
    encode_request,
)
from convexlab.functions.pages import whole_number
from convexlab.functions.ranked import Ranked
from convexlab.functions.search_indexes import check_filter_field, find_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convexlab.documents.indexes import VectorIndexDefinition
    from convexlab.engine.catalog import TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.functions.ranked import Hit

    Ask = Callable[[str, bytes], bytes]
    # A field and a value, one of which a document must have.
    Condition = tuple[str, Any]

# What an action asks the gateway for, and the query that answers it.
ASK: Final = "vector_search"
QUERY: Final = "_system/search:vector"

_NUMBERS: Final = frozenset({int, float})
_FLOAT_ONLY: Final = frozenset({float})
# Between these float32 neither overflows nor vanishes.
_LEAST, _MOST = 1e-30, 1e30


# -- what users write ---------------------------------------------------------------


class VectorFilter:
    """What a filter is given: `eq` a field and a value, `or_` several of these."""

    def eq(self, field: str, value: object, /) -> VectorCondition:
        """The field equals the value; UNDEFINED: it is missing."""
        if not isinstance(field, str):
            raise InvalidQuery(f"q.eq({field!r}, …): it takes a filter field's name.")
        if not isinstance(value, Undefined):
            value = normalize(value, f"the value of `{field}`")
        return VectorCondition(((field, value),))

    def or_(self, *conditions: VectorCondition) -> VectorCondition:
        """One of the conditions holds; none does if there are none."""
        for condition in conditions:
            if not isinstance(condition, VectorCondition):
                raise InvalidQuery(
                    f"q.or_(…) takes conditions, `q.eq(…)` each, not {condition!r}."
                )
        return VectorCondition(tuple(one for c in conditions for one in c.any_of))


class VectorCondition:
    """What a filter's function returns.

    Attributes:
        any_of: fields and values.
    """

    __slots__ = ("any_of",)

    def __init__(self, any_of: tuple[Condition, ...]) -> None:
        self.any_of = any_of


def conditions_of(filter_: Callable[[Any], object] | None) -> list[Condition] | None:
    """The conditions that a filter's function makes; None: there is no filter.

    Raises:
        InvalidQuery: it made none.
    """
    if filter_ is None:
        return None
    made = filter_(VectorFilter())
    if isinstance(made, VectorCondition):
        return list(made.any_of)
    raise InvalidQuery(
        f"A vector search's filter returned {made!r} instead of a condition: write "
        "`lambda q: q.eq(field, value)`, or `q.or_(…)` of several. Vector indexes know "
        "no other comparisons, and no `and`."
    )


# -- a search -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VectorSearch(Ranked):
    """One search of one index, checked.

    Attributes:
        table: that it is in.
        index: as the schema has it.
        vector: the numbers.
        limit: how many documents.
        any_of: fields and values, one of which a document must have; None: any will do.
        ask: asks a follower.
    """

    table: TableInfo
    index: VectorIndexDefinition
    vector: list[float]
    limit: int
    any_of: tuple[Condition, ...] | None
    ask: Ask

    def batches(self, tx: Transaction, expect: int | None) -> Iterator[list[Hit]]:
        """See `Ranked`: all at once."""
        del expect  # it has a limit of its own
        yield self.hits(tx)

    def place(self, score: float, document: dict[str, Any]) -> bytes:
        """See `Ranked`."""
        del document
        return encode_key(-score)

    def hits(self, tx: Transaction) -> list[Hit]:
        """What is nearest, of all that the transaction sees."""
        self._record(tx)
        unsettled = tx.unsettled(self.table)
        found = [
            hit for hit in self._settled(len(unsettled)) if hit[0] not in unsettled
        ]
        for internal_id, revision in unsettled.items():
            score = None if revision is None else self._score(revision.document)
            if score is not None:
                found.append((internal_id, score))
        found.sort(key=lambda hit: (-hit[1], hit[0]))
        return found[: self.limit]

    def fingerprint(self) -> bytes:
        """What distinguishes it from another search of the same table."""
        asked = (self.index.name, self.vector, self.limit)
        return repr(asked).encode() + encode_node(self._where())

    def _settled(self, more: int) -> list[Hit]:
        """What the follower says; so many more as may be laid over."""
        fields = self.index.filter_fields
        filters = None
        if self.any_of is not None:
            filters = tuple((fields.index(f), encode_key(x)) for f, x in self.any_of)
        request = VectorRequest(
            self.table.number,
            self.index.name,
            definition_of(self.index),
            _packed(self.vector),
            self.limit + more,
            filters,
        )
        answer = decode_answer(self.ask(NAME, encode_request(request)))
        scores = struct.unpack(f"<{len(answer.scores) // 4}f", answer.scores)
        ids = answer.ids
        starts = range(0, len(ids), ID_BYTES)
        return [
            (ids[start : start + ID_BYTES], score)
            for start, score in zip(starts, scores, strict=True)
        ]

    def _score(self, document: dict[str, Any]) -> float | None:
        """The cosine of a document's vector; None: it is not to be found."""
        vector = get_path(document, self.index.vector_field)
        if type(vector) is not list or len(vector) != self.index.dimensions:
            return None
        if not _NUMBERS.issuperset(map(type, vector)) or not _passes(document, self):
            return None
        return _cosine(self.vector, vector)

    def _record(self, tx: Transaction) -> None:
        """V1; and the schema, which says what the index is."""
        tx.read_set.record(SCHEMAS_BY_STATE, EVERYTHING)
        where: bytes | None = encode_node(self._where())
        if where is not None and len(where) > knobs.MAX_RECORDED_FILTER_BYTES:
            where = None
        tx.read_set.open_range(
            self.table.by_creation_time.id, EVERYTHING, reverse=False, where=where
        ).exhausted()

    def _where(self) -> Node:
        """What a document must be like to be found, as a filter says it."""
        path = self.index.vector_field.split(".")
        length: Node = ("length", ("field", *path))
        is_one: Node = ("eq", length, ("literal", self.index.dimensions))
        if self.any_of is None:
            return is_one
        choices = [
            ("eq", ("field", *field.split(".")), ("literal", value))
            for field, value in self.any_of
        ]
        return ("and", ("or", *choices), is_one)


def vector_search(
    tx: Transaction,
    ask: Ask,
    table: str,
    name: str,
    vector: Any,
    *,
    limit: Any,
    any_of: Sequence[Condition] | None,
) -> VectorSearch:
    """A search of an index of the schema.

    Args:
        tx: whose schema it is.
        ask: asks a follower, as of what the transaction's snapshot shows to everybody.
        table: its name.
        name: the index's.
        vector: as the user passed it.
        limit: how many documents, 1 to 256.
        any_of: of these fields and values a document must have one.

    Raises:
        NotFound: there is no such index, or it is staged.
        InvalidArguments, InvalidQuery, LimitExceeded: what is asked cannot be.
    """
    info, index = find_index(tx, table, name, "vector")
    if any_of is not None:
        _check_conditions(index, any_of)
    return VectorSearch(
        info,
        index,
        _numbers(index, vector),
        results_wanted(limit),
        None if any_of is None else tuple(any_of),
        ask,
    )


def _numbers(index: VectorIndexDefinition, vector: Any) -> list[float]:
    if _is_plainly_one(vector, index.dimensions):
        return vector.copy()  # type: ignore[no-any-return]  # a list of floats
    numbers = normalize(vector, "the vector")
    if type(numbers) is not list or not all(
        type(number) in _NUMBERS and math.isfinite(number)  # type: ignore[arg-type]  # a number
        for number in numbers
    ):
        raise InvalidArguments(
            f"Vector index `{index.name}` is searched with a list of finite numbers, "
            f"not with {_briefly(vector)}."
        )
    if len(numbers) != index.dimensions:
        raise InvalidQuery(
            f"Vector index `{index.name}` has {index.dimensions} dimensions; the vector "
            f"has {len(numbers)}. Both must come from the same model.",
            kind="VectorDimensionsMismatch",
        )
    return [float(number) for number in numbers]  # type: ignore[arg-type]  # numbers


def _is_plainly_one(vector: Any, dimensions: int) -> bool:
    """Whether it needs no longer look, of hundreds of numbers; False may be wrong."""
    return (
        type(vector) is list and len(vector) == dimensions and _are_plain_floats(vector)
    )


def _are_plain_floats(vector: list[Any]) -> bool:
    return _FLOAT_ONLY.issuperset(map(type, vector)) and math.isfinite(
        math.hypot(*vector)
    )


def _briefly(value: Any) -> str:
    if isinstance(value, list | tuple):
        odd = next(
            x for x in value
            if type(x) not in _NUMBERS or isinstance(x, Int64) or not math.isfinite(x)
        )  # fmt: skip
        return f"one that has {odd!r} in it"
    return repr(value)[:60]


def results_wanted(limit: Any) -> int:
    """How many documents a search is to give: 1 to 256."""
    number = whole_number(limit, "limit")
    if not 1 <= number <= knobs.MAX_VECTOR_RESULTS:
        raise LimitExceeded(
            f"A vector search gives 1 to {knobs.MAX_VECTOR_RESULTS} documents; "
            f"{number} were asked for.",
            kind="VectorLimitTooLargeError",
        )
    return number


def _check_conditions(
    index: VectorIndexDefinition, any_of: Sequence[Condition]
) -> None:
    if len(any_of) > knobs.MAX_VECTOR_FILTER_VALUES:
        raise LimitExceeded(
            f"A vector search's filter has at most {knobs.MAX_VECTOR_FILTER_VALUES} "
            f"values; this one has {len(any_of)}.",
            kind="VectorFilterTooLargeError",
        )
    for field, _ in any_of:
        check_filter_field(index, field, "Vector", "IncorrectVectorFilterField")


# -- numbers --------------------------------------------------------------------------


def _passes(document: dict[str, Any], search: VectorSearch) -> bool:
    return search.any_of is None or any(
        encode_key(get_path(document, field)) == encode_key(value)
        for field, value in search.any_of
    )


def _packed(vector: list[float]) -> bytes:
    """As float32, brought to where that neither overflows nor vanishes."""
    # N.B. the length takes a fifth of the time of the greatest and the least.
    if _LEAST < math.hypot(*vector) < _MOST:
        return struct.pack(f"<{len(vector)}f", *vector)
    most, least = max(vector), min(vector)
    largest = max(most, -least) or 1.0
    return struct.pack(f"<{len(vector)}f", *(number / largest for number in vector))


def _unpacked(numbers: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(numbers) // 4}f", numbers))


def _cosine(one: list[float], other: list[float]) -> float | None:
    """As the follower has it; None: the other has no direction that is a number."""
    largest = max(map(abs, other))
    if not math.isfinite(largest):
        return None
    if not largest or not any(one):
        return 0.0
    cosine: float = sum(map(mul, _direction(one), _direction(other)))
    return max(-1.0, min(1.0, cosine))


def _direction(vector: list[float]) -> list[float]:
    largest = max(map(abs, vector))
    scaled = [number / largest for number in vector]
    length = math.sqrt(sum(map(mul, scaled, scaled)))
    return [number / length for number in scaled]


# -- for actions ------------------------------------------------------------------------


def asked(
    table: str,
    index: str,
    vector: Any,
    limit: Any,
    filter_: Callable[[Any], object] | None,
) -> dict[str, Any]:
    """A search as an action sends it; the filter's function has been called."""
    any_of = conditions_of(filter_)
    return {
        "table": table,
        "index": index,
        **_sent(vector),
        "limit": limit,
        "anyOf": None
        if any_of is None
        else [
            {"field": field} if value is UNDEFINED else {"field": field, "value": value}
            for field, value in any_of
        ],
    }


def _sent(vector: Any) -> dict[str, Any]:
    """Floats in the four bytes that each has in the end: the gateway passes them on.

    What else was passed is sent as it is, and refused by who knows the index.
    """
    if type(vector) is list and vector and _are_plain_floats(vector):
        return {"packed": _packed(vector)}
    return {"vector": normalize(vector, "the vector")}


def answer(tx: Transaction, ask: Ask, args: dict[str, Any]) -> list[dict[str, Any]]:
    """What an action gets: ids and scores, nearest first."""
    any_of, packed = args.get("anyOf"), args.get("packed")
    search = vector_search(
        tx,
        ask,
        args["table"],
        args["index"],
        args["vector"] if packed is None else _unpacked(packed),
        limit=args["limit"],
        any_of=None
        if any_of is None
        else [(each["field"], each.get("value", UNDEFINED)) for each in any_of],
    )
    number = search.table.id_number
    return [
        {"_id": encode_id(number, internal_id), "_score": score}
        for internal_id, score in search.hits(tx)
    ]
