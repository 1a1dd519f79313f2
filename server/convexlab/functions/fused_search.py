"""Fused search: what matches a text and what is near to a vector, in one ranking.

    ctx.db.query("t").search(text="hello", vector=v, limit=10)

Reciprocal rank fusion: a document is worth 1 / (60 + its rank) in each ranking that it
is in. Scores of the two are never compared, so neither has to be scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convexlab import knobs
from convexlab.documents.ordering import encode_key
from convexlab.errors import InvalidQuery, NotFound
from convexlab.functions.ranked import Ranked
from convexlab.functions.search_indexes import find_index, indexes_of
from convexlab.functions.text_search import search_of
from convexlab.functions.vector_search import (
    VectorFilter,
    results_wanted,
    vector_search,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from convexlab.documents.indexes import (
        SearchIndexDefinition,
        VectorIndexDefinition,
    )
    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.functions.ranked import Hit
    from convexlab.functions.text_search import TextSearch
    from convexlab.functions.vector_search import Ask, Condition, VectorSearch

    AnyIndex = SearchIndexDefinition | VectorIndexDefinition


@dataclass(frozen=True, slots=True)
class Sought:
    """What a fused search looks for, as the user passed it.

    Attributes:
        text: None: only vectors are looked at.
        vector: None: only texts are.
        limit: how many documents.
        filter: a function that makes one condition, which all documents meet.
        text_index: the search index; None: the only one of the table.
        vector_index: the vector index; None: the only one of the table.
    """

    text: str | None
    vector: Sequence[float] | None
    limit: int
    filter: Callable[[Any], object] | None = None
    text_index: str | None = None
    vector_index: str | None = None


@dataclass(frozen=True, slots=True)
class FusedSearch(Ranked):
    """A search by several rankings of one table.

    Attributes:
        table: that it is in.
        text: by what it says.
        vector: by what it is near to.
        limit: how many documents.
    """

    table: TableInfo
    text: TextSearch | None
    vector: VectorSearch | None
    limit: int

    def batches(self, tx: Transaction, expect: int | None) -> Iterator[list[Hit]]:
        """See `Ranked`: all at once."""
        del expect  # it has a limit of its own
        rankings: list[list[Hit]] = []
        if self.text is not None:
            rankings.append(self.text.hits(tx, max(self.limit, knobs.FUSED_DEPTH)))
        if self.vector is not None:
            rankings.append(self.vector.hits(tx))
        yield fused(rankings)[: self.limit]

    def place(self, score: float, document: dict[str, Any]) -> bytes:
        """See `Ranked`."""
        del document
        return encode_key(-score)

    def fingerprint(self) -> bytes:
        """What distinguishes it from another search of the same table."""
        both = (self.text, self.vector)
        parts = [each.fingerprint() for each in both if each is not None]
        return repr((self.limit, parts)).encode()


def fused(rankings: Iterable[Sequence[Hit]]) -> list[Hit]:
    """The documents of all rankings by what their ranks are worth; equal ones by id."""
    worth: dict[bytes, float] = {}
    for ranking in rankings:
        for rank, (internal_id, _) in enumerate(ranking, 1):
            worth[internal_id] = worth.get(internal_id, 0.0) + 1 / (
                knobs.FUSED_RANK + rank
            )
    return sorted(worth.items(), key=lambda hit: (-hit[1], hit[0]))


def fused_search(tx: Transaction, ask: Ask, table: str, sought: Sought) -> FusedSearch:
    """A search of a table by its indexes.

    Args:
        tx: whose schema it is.
        ask: asks a follower, as of what the transaction's snapshot shows to everybody.
        table: its name.
        sought: what for.

    Raises:
        NotFound: there is no index for it, or none that is not staged.
        InvalidQuery, InvalidArguments, LimitExceeded: what is asked cannot be.
    """
    if sought.text is None and sought.vector is None:
        raise InvalidQuery(
            "search(…) needs what to look for: `text=`, `vector=`, or both."
        )
    if sought.text is not None and not isinstance(sought.text, str):
        raise InvalidQuery(f"search(text={sought.text!r}): the text is a string.")
    limit = results_wanted(sought.limit, "A search")
    condition = _condition(sought.filter)
    text = vector = None
    if sought.text is not None:
        info, index = find_index(tx, table, _text_index(tx, table, sought), "search")
        text = search_of(info, index, sought.text, condition, ask)
    if sought.vector is not None:
        vector = vector_search(
            tx,
            ask,
            table,
            _vector_index(tx, table, sought),
            sought.vector,
            limit=max(limit, knobs.FUSED_DEPTH),
            any_of=condition or None,
        )
    found = text or vector
    assert found is not None, "one of them is wanted"
    return FusedSearch(found.table, text, vector, limit)


def _condition(filter_: Callable[[Any], object] | None) -> tuple[Condition, ...]:
    if filter_ is None:
        return ()
    made = filter_(VectorFilter())
    conditions = getattr(made, "any_of", ())
    if len(conditions) != 1:
        raise InvalidQuery(
            "search(filter=…) takes one condition, `lambda q: q.eq(field, value)`: text "
            "indexes know no `or`, vector indexes no `and`."
        )
    return tuple(conditions)


def _text_index(tx: Transaction, table: str, sought: Sought) -> str:
    _, indexes = indexes_of(tx, table, "search")
    return sought.text_index or _only(table, indexes, "search", "text_index")


def _vector_index(tx: Transaction, table: str, sought: Sought) -> str:
    _, indexes = indexes_of(tx, table, "vector")
    return sought.vector_index or _only(table, indexes, "vector", "vector_index")


def _only(table: str, indexes: Iterable[AnyIndex], kind: str, option: str) -> str:
    names = [index.name for index in indexes if not index.staged]
    if not names:
        raise NotFound(
            f"`{table}` has no {kind} index: add `.{kind}_index(…)` to it in the schema."
        )
    if len(names) > 1:
        known = ", ".join(f"`{name}`" for name in names)
        raise InvalidQuery(
            f"`{table}` has several {kind} indexes, {known}: say which one, {option}=…"
        )
    return names[0]
