"""Text search: the documents that match best, for queries and mutations.

    ctx.db.query("t").with_search_index("by_body", lambda q: q.search("body", "hello").eq("owner", o))

The follower `text` answers as of what everybody can see, and is told what the
transaction and the group that gathers wrote beyond that: so a transaction is answered
as everybody will be once it is committed.

Invariants
    S1  A query depends on all documents that pass its filters and have one of its words,
        found or not: any of them could come before another.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

import msgspec

from convexlab import knobs
from convexlab.documents.document import get_path
from convexlab.documents.expression import Node, encode as encode_node
from convexlab.documents.ordering import encode_key
from convexlab.documents.value import Undefined, normalize
from convexlab.documents.words import searched_words
from convexlab.engine.interval import EVERYTHING
from convexlab.errors import InvalidQuery, LimitExceeded
from convexlab.followers.text.request import (
    ID_BYTES,
    NAME,
    TextRequest,
    Unsettled,
    decode_answer,
    definition_of,
    encode_request,
)
from convexlab.functions.ranked import Ranked
from convexlab.functions.search_indexes import check_filter_field, find_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convexlab.documents.indexes import SearchIndexDefinition
    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Revision
    from convexlab.functions.ranked import Hit

    Ask = Callable[[str, bytes], bytes]
    # A field and the value that a document must have in it.
    Condition = tuple[str, Any]

_IDS: Final = Struct(f"{ID_BYTES}s")
_HOW: Final = "`lambda q: q.search(field, text).eq(filter_field, value)`"


# -- what users write ---------------------------------------------------------------


class SearchBuilder(msgspec.Struct, frozen=True):
    """What a search's function is given, and returns: each call gives a new one.

    Attributes:
        searches: fields and texts.
        all_of: fields and values, all of which a document must have.
    """

    searches: tuple[tuple[str, str], ...] = ()
    all_of: tuple[Condition, ...] = ()

    def search(self, field: str, text: str, /) -> SearchBuilder:
        """The field has one of the text's words; the last one may be a beginning."""
        for name, given in (("field", field), ("text", text)):
            if not isinstance(given, str):
                raise InvalidQuery(
                    f"q.search({field!r}, {text!r}): the {name} is a string."
                )
        if self.searches:
            raise InvalidQuery(
                "A search looks for one text: `q.search(…)` was called twice.",
                kind="DuplicateSearchFiltersError",
            )
        return SearchBuilder(((field, text),), self.all_of)

    def eq(self, field: str, value: object, /) -> SearchBuilder:
        """The filter field equals the value; UNDEFINED: it is missing."""
        if not isinstance(field, str):
            raise InvalidQuery(f"q.eq({field!r}, …): it takes a filter field's name.")
        if not isinstance(value, Undefined):
            value = normalize(value, f"the value of `{field}`")
        return SearchBuilder(self.searches, (*self.all_of, (field, value)))

    def __bool__(self) -> NoReturn:
        raise InvalidQuery(
            "`and`, `or`, `not` and `if` cannot look into a search: what follows one "
            f"another must hold together. Write {_HOW}."
        )


# -- a search -------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class TextSearch(Ranked):
    """One search of one index, checked; it does not change.

    N.B. it would take 2 µs longer to make one that cannot.

    Attributes:
        table: that it is in.
        index: as the schema has it.
        words: that it looks for; the last one may be a beginning.
        all_of: fields and values, all of which a document must have.
        ask: asks a follower.
    """

    table: TableInfo
    index: SearchIndexDefinition
    words: tuple[str, ...]
    all_of: tuple[Condition, ...]
    ask: Ask
    shows_scores: ClassVar[bool] = False

    def place(self, score: float, document: dict[str, Any]) -> bytes:
        """See `Ranked`: of equal ones the newest comes first."""
        return encode_key(-score, -float(document["_creationTime"]))

    def batches(self, tx: Transaction, expect: int | None) -> Iterator[list[Hit]]:
        """A few at first, then all there may be; see `Ranked`.

        Raises:
            LimitExceeded: more were wanted than a search gives.
        """
        if not self.words:
            return
        unsettled = tx.unsettled(self.table)
        all_ = knobs.MAX_SEARCH_RESULTS
        few = min(max(expect or knobs.SEARCH_FIRST_RESULTS, 1), all_)
        hits = self._asked(tx, unsettled, few)
        yield hits
        if len(hits) < few:
            return
        if few < all_:
            # N.B. the index may count anew in between, and then ranks a little otherwise.
            seen = {internal_id for internal_id, _ in hits}
            hits = self._asked(tx, unsettled, all_)
            yield [hit for hit in hits if hit[0] not in seen]
        if len(hits) == all_:
            raise LimitExceeded(
                f"Search query scanned too many documents (fetched {all_}). Consider "
                "using a smaller limit, paginating the query, or using a filter field "
                "to make the search query more selective.",
                kind="SearchQueryScannedTooManyDocumentsError",
            )

    def hits(self, tx: Transaction, limit: int) -> list[Hit]:
        """What matches best, of all that the transaction sees."""
        return self._asked(tx, tx.unsettled(self.table), limit) if self.words else []

    def fingerprint(self) -> bytes:
        """What distinguishes it from another search of the same table."""
        return repr((self.index.name, self.words)).encode() + encode_node(self._where())

    def _asked(
        self, tx: Transaction, unsettled: dict[bytes, Revision | None], limit: int
    ) -> list[Hit]:
        self._record(tx)
        request = TextRequest(
            self.table.number,
            self.index.name,
            definition_of(self.index),
            self.words,
            limit,
            self._filters() if self.all_of else (),
            tuple([self._unsettled(*item) for item in unsettled.items()]),
        )
        answer = decode_answer(self.ask(NAME, encode_request(request)))
        ids = _IDS.iter_unpack(answer.ids)
        return [(id_, score) for (id_,), score in zip(ids, answer.scores, strict=True)]

    def _filters(self) -> tuple[tuple[int, bytes], ...]:
        fields = self.index.filter_fields
        return tuple((fields.index(f), encode_key(value)) for f, value in self.all_of)

    def _unsettled(self, internal_id: bytes, revision: Revision | None) -> Unsettled:
        text = None
        if revision is not None:
            text = get_path(revision.document, self.index.search_field)
        if revision is None or type(text) is not str:
            return Unsettled(internal_id)
        document = revision.document
        keys = [encode_key(get_path(document, f)) for f in self.index.filter_fields]
        created: Any = document["_creationTime"]
        return Unsettled(internal_id, text, float(created), tuple(keys))

    def _record(self, tx: Transaction) -> None:
        """S1."""
        where: bytes | None = encode_node(self._where())
        if where is not None and len(where) > knobs.MAX_RECORDED_FILTER_BYTES:
            where = None
        tx.read_set.record(self.table.by_creation_time.id, EVERYTHING, where)

    def _where(self) -> Node:
        """What a document must be like to be found, as a filter says it."""
        field = ("field", *self.index.search_field.split("."))
        has_words: Node = ("words", field, ("literal", list(self.words)))
        conditions = [
            ("eq", ("field", *name.split(".")), ("literal", value))
            for name, value in self.all_of
        ]
        return ("and", *conditions, has_words)


def text_search(
    tx: Transaction,
    ask: Ask,
    table: str,
    name: str,
    search: Callable[[Any], object],
) -> TextSearch:
    """A search of an index of the schema, as a user's function says.

    Args:
        tx: whose schema it is.
        ask: asks a follower, as of what the transaction's snapshot shows to everybody.
        table: its name.
        name: the index's.
        search: a function of a `SearchBuilder`.

    Raises:
        NotFound: there is no such index, or it is staged.
        InvalidQuery, LimitExceeded: what is asked cannot be.
    """
    info, index = find_index(tx, table, name, "search")
    if not callable(search):
        raise InvalidQuery(
            f"Search index `{name}`: a search is a function, not {search!r}: write {_HOW}."
        )
    asked = search(SearchBuilder())
    if not isinstance(asked, SearchBuilder):
        raise InvalidQuery(
            f"A search's function returned {asked!r} instead of a search: write {_HOW}."
        )
    if not asked.searches:
        raise InvalidQuery(
            f"A search needs what to look for: write {_HOW}.",
            kind="MissingSearchFilterError",
        )
    ((field, text),) = asked.searches
    if field != index.search_field:
        raise InvalidQuery(
            f"Search index `{name}` is over the field `{index.search_field}`, "
            f"not `{field}`.",
            kind="IncorrectSearchField",
        )
    return search_of(info, index, text, asked.all_of, ask)


def search_of(
    table: TableInfo,
    index: SearchIndexDefinition,
    text: str,
    all_of: tuple[Condition, ...],
    ask: Ask,
) -> TextSearch:
    """A search of an index that is there; see `text_search`."""
    if len(all_of) > knobs.MAX_SEARCH_FILTERS:
        raise LimitExceeded(
            f"A search has at most {knobs.MAX_SEARCH_FILTERS} filters; this one has "
            f"{len(all_of)}.",
            kind="TooManyFilterConditionsInSearchQueryError",
        )
    for name, _ in all_of:
        check_filter_field(index, name, "Search", "IncorrectFilterFieldError")
    return TextSearch(table, index, tuple(searched_words(text)), all_of, ask)
