"""Changes: what became of a table's documents between two moments.

    change      "added", "removed" or "changed"
    before      the document as of the earlier moment, as its body
    after       the same as of the later one

Rows that were superseded in between say what was, rows that came in between say what is:
so it costs as much as has changed, not as much as there is. A document that is as it was
has not changed, however often it was written. The newest change comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convexlab.engine.timestamp import Timestamp, in_words
from convexlab.errors import NotFound, OutOfRetention
from convexlab.followers.columnar.statement import Statement

if TYPE_CHECKING:
    from convexlab.followers.columnar.reading import Reading

#: The columns that hold documents.
BODIES: Final = ("before", "after")
_NOTHING: Final = (
    "SELECT NULL::VARCHAR AS change, NULL::VARCHAR AS before, NULL::VARCHAR AS after "
    "WHERE false"
)


def changes(reading: Reading, name: str, since: int) -> Statement:
    """The statement that says what has changed in a table until the reading's moment.

    Args:
        reading: as of the later moment.
        name: the table's.
        since: the earlier moment.

    Raises:
        NotFound: there is no such table.
        OutOfRetention: the mirror does not reach back so far.
    """
    table = reading.tables.get(name)
    if table is None:
        raise NotFound(f"There is no table `{name}`.")
    if not table.is_whole or table.changed_ts <= since:
        return Statement(_NOTHING, (name,), None)
    if table.exact_from > since:
        raise OutOfRetention(
            f"The columnar mirror has no state as of {in_words(Timestamp(since))}; the "
            f"oldest that it has is of {in_words(Timestamp(table.exact_from))}."
        )
    until = int(reading.at)
    gone = f"_from <= {since} AND _to > {since} AND _to <= {until}"
    came = f"_from > {since} AND _from <= {until}"
    text = f"""
        WITH before AS (SELECT _id, _doc, _to AS at FROM {table.past} WHERE {gone}),
        after AS (
            SELECT _id, _doc, _from AS at FROM {table.current} WHERE {came}
            UNION ALL
            SELECT _id, _doc, _from FROM {table.past} WHERE {came} AND _to > {until}
        )
        SELECT
            CASE WHEN b._id IS NULL THEN 'added' WHEN a._id IS NULL THEN 'removed'
            ELSE 'changed' END AS change, b._doc AS before, a._doc AS after
        FROM before b FULL JOIN after a ON a._id = b._id
        WHERE a._doc IS DISTINCT FROM b._doc
        ORDER BY coalesce(a.at, b.at) DESC, coalesce(a._id, b._id)"""
    return Statement(text, (name,), None)
