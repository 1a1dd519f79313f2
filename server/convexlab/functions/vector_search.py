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
import sys
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import mul
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import msgspec

from convexlab import knobs
from convexlab.documents.document import get_path
from convexlab.documents.encoding import encode_json, from_stored, to_stored
from convexlab.documents.expression import Node, encode as encode_node
from convexlab.documents.floats import are_floats
from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import UNDEFINED, Int64, Undefined, normalize
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
    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.functions.ranked import Hit

    Ask = Callable[[str, bytes], bytes]
    # A field and a value, one of which a document must have.
    Condition = tuple[str, Any]

# What an action asks for.
ASK: Final = "vector_search"

_NUMBERS: Final = frozenset({int, float})
_IDS: Final = struct.Struct(f"{ID_BYTES}s")
_SCORES: Final = struct.Struct("<f")
# N.B. the machine's own order is packed a third quicker than one that is said.
_LITTLE_ENDIAN: Final = "@" if sys.byteorder == "little" else "<"
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

    def __bool__(self) -> NoReturn:
        raise InvalidQuery(
            "`and`, `or`, `not` and `if` cannot look into a vector search's filter: write "
            "`q.or_(…)` of several conditions. Vector indexes know no `and`: keep a field "
            "that says both, or filter the result."
        )


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


@dataclass(slots=True, eq=False)
class VectorSearch(Ranked):
    """One search of one index, checked; it does not change.

    N.B. it would take 2 µs longer to make one that cannot.

    Attributes:
        table: that it is in.
        index: as the schema has it.
        packed: the numbers, as little-endian float32.
        limit: how many documents.
        any_of: fields and values, one of which a document must have; None: any will do.
        ask: asks a follower.
    """

    table: TableInfo
    index: VectorIndexDefinition
    packed: bytes
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
        settled = hits_in(self.ask(NAME, encode_request(self.request(len(unsettled)))))
        if not unsettled:
            return settled
        found = [hit for hit in settled if hit[0] not in unsettled]
        vector = _unpacked(self.packed)
        for internal_id, revision in unsettled.items():
            if revision is None:
                continue
            score = self._score(vector, revision.document)
            if score is not None:
                found.append((internal_id, score))
        found.sort(key=lambda hit: (-hit[1], hit[0]))
        return found[: self.limit]

    def fingerprint(self) -> bytes:
        """What distinguishes it from another search of the same table."""
        asked = (self.index.name, self.packed, self.limit)
        return repr(asked).encode() + self._where()

    def request(self, more: int = 0) -> VectorRequest:
        """What the follower is asked.

        Args:
            more: how many may be laid over: so many more are asked for.
        """
        fields = self.index.filter_fields
        filters = None
        if self.any_of is not None:
            filters = tuple((fields.index(f), encode_key(x)) for f, x in self.any_of)
        return VectorRequest(
            self.table.number,
            self.index.name,
            definition_of(self.index),
            self.packed,
            self.limit + more,
            filters,
        )

    def _score(self, sought: list[float], document: dict[str, Any]) -> float | None:
        """The cosine of a document's vector; None: it is not to be found."""
        vector = get_path(document, self.index.vector_field)
        if type(vector) is not list or len(vector) != self.index.dimensions:
            return None
        if not _NUMBERS.issuperset(map(type, vector)) or not _passes(document, self):
            return None
        return _cosine(sought, vector)

    def _record(self, tx: Transaction) -> None:
        """V1."""
        where: bytes | None = self._where()
        if where is not None and len(where) > knobs.MAX_RECORDED_FILTER_BYTES:
            where = None
        tx.read_set.record(self.table.by_creation_time.id, EVERYTHING, where)

    def _where(self) -> bytes:
        """What a document must be like to be found, as a filter says it."""
        if self.any_of is None:
            return _in_index(self.index)
        choices = [
            ("eq", ("field", *field.split(".")), ("literal", value))
            for field, value in self.any_of
        ]
        return encode_node(("and", ("or", *choices), _is_in(self.index)))


def _is_in(index: VectorIndexDefinition) -> Node:
    """Whether a document is one of an index's, as a filter says it."""
    length: Node = ("length", ("field", *index.vector_field.split(".")))
    return ("eq", length, ("literal", index.dimensions))


@lru_cache(maxsize=64)
def _in_index(index: VectorIndexDefinition) -> bytes:
    """The same for each search of an index that has no filter."""
    return encode_node(_is_in(index))


def hits_in(answer: bytes) -> list[Hit]:
    """What the follower said, nearest first."""
    said = decode_answer(answer)
    ids = chain.from_iterable(_IDS.iter_unpack(said.ids))
    scores = chain.from_iterable(_SCORES.iter_unpack(said.scores))
    return list(zip(ids, scores, strict=True))


def hits_of_each(answer: bytes, searches: int) -> list[list[Hit]]:
    """What the follower said of several searches: as many of each."""
    hits = hits_in(answer)
    each = len(hits) // searches
    return [hits[n * each : (n + 1) * each] for n in range(searches)]


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
        vector: as the user passed it, or `Packed`.
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
        _packed_for(index, vector),
        results_wanted(limit),
        None if any_of is None else tuple(any_of),
        ask,
    )


def _packed_for(index: VectorIndexDefinition, vector: Any) -> bytes:
    packed = vector.numbers if type(vector) is Packed else _packed_plain(vector)
    if packed is None:
        packed = _packed(_numbers(index, vector))
    if len(packed) != 4 * index.dimensions:
        raise InvalidQuery(
            f"Vector index `{index.name}` has {index.dimensions} dimensions; the vector "
            f"has {len(packed) // 4}. Both must come from the same model.",
            kind="VectorDimensionsMismatch",
        )
    return packed


def _numbers(index: VectorIndexDefinition, vector: Any) -> list[float]:
    numbers = normalize(vector, "the vector")
    if type(numbers) is not list or not all(
        type(number) in _NUMBERS and math.isfinite(number)  # type: ignore[arg-type]  # a number
        for number in numbers
    ):
        raise InvalidArguments(
            f"Vector index `{index.name}` is searched with a list of finite numbers, "
            f"not with {_briefly(vector)}."
        )
    return [float(number) for number in numbers]  # type: ignore[arg-type]  # numbers


def _briefly(value: Any) -> str:
    if isinstance(value, list | tuple):
        odd = next(
            x for x in value
            if type(x) not in _NUMBERS or isinstance(x, Int64) or not math.isfinite(x)
        )  # fmt: skip
        return f"one that has {odd!r} in it"
    return repr(value)[:60]


def results_wanted(limit: Any, what: str = "A vector search") -> int:
    """How many documents a search is to give: 1 to 256.

    Args:
        limit: what was passed.
        what: how a refusal names the search.
    """
    number = whole_number(limit, "limit")
    if not 1 <= number <= knobs.MAX_VECTOR_RESULTS:
        raise LimitExceeded(
            f"{what} gives 1 to {knobs.MAX_VECTOR_RESULTS} documents; "
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


class Packed(NamedTuple):
    """Finite numbers as little-endian float32, packed by who was given them."""

    numbers: bytes


def _packed_plain(vector: Any) -> bytes | None:
    """A list of ordinary floats, each looked at once; None: it needs a longer look."""
    if type(vector) is not list or not are_floats(vector):
        return None
    return _packed_as_is(vector) if _LEAST < math.hypot(*vector) < _MOST else None


def _packed(vector: list[float]) -> bytes:
    """As float32, brought to where that neither overflows nor vanishes."""
    if _LEAST < math.hypot(*vector) < _MOST:
        return _packed_as_is(vector)
    largest = max(map(abs, vector), default=0.0) or 1.0
    return _packed_as_is([number / largest for number in vector])


def _packed_as_is(vector: list[float]) -> bytes:
    return _packer(len(vector))(*vector)


@lru_cache(maxsize=16)
def _packer(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"{_LITTLE_ENDIAN}{count}f").pack


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


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A search as an action sends it.

    Attributes:
        rest: what else was passed, as stored: `table`, `index`, `limit`, `anyOf`; and
            `vector` where it is not packed, to be refused by who knows the index.
        packed: the numbers, as little-endian float32.
    """

    rest: bytes
    packed: bytes | None


_encode_asked: Final = msgspec.msgpack.Encoder().encode
_decode_asked: Final = msgspec.msgpack.Decoder(Asked).decode


def asked(
    table: str,
    index: str,
    vector: Any,
    limit: Any,
    filter_: Callable[[Any], object] | None,
) -> bytes:
    """What an action asks for; the filter's function has been called."""
    any_of, packed = conditions_of(filter_), _packed_plain(vector)
    rest = {"table": table, "index": index, "limit": limit}
    if any_of is not None:
        rest["anyOf"] = [
            {"field": field} if value is UNDEFINED else {"field": field, "value": value}
            for field, value in any_of
        ]
    if packed is None:
        rest["vector"] = normalize(vector, "the vector")
    return _encode_asked(Asked(to_stored(rest), packed))


def sought(tx: Transaction, ask: Ask, body: bytes) -> VectorSearch:
    """The search that an action asks for.

    Raises:
        NotFound, InvalidArguments, InvalidQuery, LimitExceeded: as `vector_search`.
    """
    said = _decode_asked(body)
    rest: Any = from_stored(said.rest)
    any_of = rest.get("anyOf")
    return vector_search(
        tx,
        ask,
        rest["table"],
        rest["index"],
        rest["vector"] if said.packed is None else Packed(said.packed),
        limit=rest["limit"],
        any_of=None
        if any_of is None
        else [(each["field"], each.get("value", UNDEFINED)) for each in any_of],
    )


def told(search: VectorSearch, hits: list[Hit]) -> bytes:
    """What an action gets, as stored: ids and scores, nearest first."""
    number = search.table.id_number
    return encode_json(
        [{"_id": encode_id(number, id_), "_score": score} for id_, score in hits]
    )


def answer(tx: Transaction, ask: Ask, body: bytes) -> bytes:
    """What an action gets of a transaction."""
    search = sought(tx, ask, body)
    return told(search, search.hits(tx))
