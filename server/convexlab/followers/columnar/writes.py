"""What a run of commits does to a table of the mirror, as batches of rows.

    changes ── shredded ──▶ TableWrite ── MirrorTable.write ──▶ DuckDB
              (Python)                        (its own threads)

Both halves take about as long. The first needs Python's lock and the second does not,
so that the next commits are read while DuckDB writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convexlab.documents.bodies import to_text
from convexlab.documents.ids import encode_id
from convexlab.documents.ordering import decode_key
from convexlab.followers.columnar.decoding import decoded
from convexlab.followers.columnar.kinds import NUMBER, STRING
from convexlab.followers.columnar.shredding import (
    Columns,
    are_same,
    arrow_columns,
    observed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from convexlab.engine.write_set import Revision
    from convexlab.followers.columnar.decoding import Batch
    from convexlab.followers.columnar.tables import MirrorTable
    from convexlab.followers.follower import Change

ID_BYTES: Final = 16
_AT_A_TIME: Final = 2000


@dataclass(frozen=True, slots=True)
class TableWrite:
    """What is to be written.

    Attributes:
        columns: that hold the documents too.
        begun: rows that are current from now on.
        ended: `_id`, `_creationTime` and `_to` of rows that were current; None: none.
        passed: rows that were current for a moment, with their `_to`; None: none.
        ts: the newest commit; 0: none, the rows were there before.
    """

    columns: Columns
    begun: pa.Table
    ended: pa.Table | None = None
    passed: pa.Table | None = None
    ts: int = 0

    @property
    def only_begins(self) -> bool:
        """Whether rows that were there stay as they are."""
        return self.ended is None and self.passed is None

    @property
    def added(self) -> int:
        """How many more documents the table has."""
        ended = 0 if self.ended is None else int(self.ended.num_rows)
        return int(self.begun.num_rows) - ended


@dataclass(slots=True)
class Step:
    """One revision and when it was current.

    Attributes:
        id: the internal id.
        from_ts: the commit that made it so.
        revision: None: the document was not there.
        place: the document's key by creation time.
        to_ts: when the next one came; None: it is the last of its run.
        replaces: whether it ends what was there before the run.
    """

    id: bytes
    from_ts: int
    revision: Revision | None
    place: bytes
    to_ts: int | None = None
    replaces: bool = False

    @property
    def created(self) -> float:
        """The document's creation time, in ms since 1970."""
        created: float = decode_key(self.place[:-ID_BYTES])[0]
        return created


def inserting(table: MirrorTable, revisions: Sequence[Revision], ts: int) -> TableWrite:
    """What takes in current documents that were not there."""
    columns, batch = _shredded(table, revisions)
    return TableWrite(columns, batch, ts=ts)


def applying(table: MirrorTable, changes: Sequence[Change]) -> TableWrite:
    """What takes in what commits did to a table's documents, in order."""
    ts = changes[-1].ts
    inserted = _inserted(changes)
    if inserted is not None:
        return inserting(table, inserted, ts)
    steps = _steps(changes)
    shown = [(step, step.revision) for step in steps if step.revision is not None]
    columns, batch = _shredded(table, [revision for _, revision in shown])
    now = [at for at, (step, _) in enumerate(shown) if step.to_ts is None]
    passed = [at for at, (step, _) in enumerate(shown) if step.to_ts is not None]
    ended = [step for step in steps if step.replaces]
    return TableWrite(
        columns,
        batch.take(int64(now)) if passed else batch,
        _ended(table, ended) if ended else None,
        batch.take(int64(passed)).append_column(
            "_to", int64([shown[at][0].to_ts for at in passed])
        )
        if passed
        else None,
        ts,
    )


def _inserted(changes: Sequence[Change]) -> list[Revision] | None:
    """The documents, if all that a run did was to insert them: most of what is long."""
    found = [
        change.revision
        for change in changes
        if change.revision is not None and not change.previous_ts
    ]
    if len(found) < len(changes) or len({each.id for each in found}) < len(found):
        return None
    return found


def _steps(changes: Iterable[Change]) -> list[Step]:
    """What a run does to a table's documents."""
    last: dict[bytes, Step] = {}
    steps = []
    for change in changes:
        step = Step(change.id, change.ts, change.revision, change.place)
        before = last.get(change.id)
        if before is not None:
            before.to_ts = change.ts
        else:
            step.replaces = change.previous_ts != 0
        last[change.id] = step
        steps.append(step)
    return steps


# -- as arrays ----------------------------------------------------------------------


def _ended(table: MirrorTable, ended: Sequence[Step]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "_id": [encode_id(table.id_number, step.id) for step in ended],
            "_creationTime": [step.created for step in ended],
            "_to": int64([step.from_ts for step in ended]),
        }
    )


def _shredded(
    table: MirrorTable, revisions: Sequence[Revision]
) -> tuple[Columns, pa.Table]:
    """The columns that hold these documents too, and they in them."""
    import pyarrow as pa

    columns, batches = table.columns, list[pa.Table]()
    # N.B. few at a time: decoded, many would not stay in the processor's cache.
    for start in range(0, max(len(revisions), 1), _AT_A_TIME):
        some = revisions[start : start + _AT_A_TIME]
        fields = decoded(columns, [revision.body for revision in some])
        before, columns = (
            columns,
            observed(columns, fields, has_rows=table.has_rows or start > 0),
        )
        if not are_same(before, columns):  # those before are of other columns
            batches = [
                _batch(columns, revisions[at : at + _AT_A_TIME])
                for at in range(0, start, _AT_A_TIME)
            ]
        batches.append(_batch(columns, some, fields))
    return columns, pa.concat_tables(batches)


def _batch(
    columns: Columns, revisions: Sequence[Revision], fields: Batch | None = None
) -> pa.Table:
    import pyarrow as pa

    bodies = [revision.body for revision in revisions]
    fields = fields or decoded(columns, bodies)
    return pa.table(
        {
            "_id": fields["_id"].array(STRING),
            "_creationTime": fields["_creationTime"].array(NUMBER),
            **arrow_columns(columns, fields),
            "_doc": _texts(list(map(to_text, bodies))),
            "_from": int64([revision.ts for revision in revisions]),
        }
    )


def _texts(bodies: Sequence[bytes]) -> pa.Array:
    """Stored texts as strings: they are UTF-8, as Arrow has its own."""
    import numpy as np
    import pyarrow as pa

    ends = np.cumsum([0, *map(len, bodies)], dtype=np.int64)
    return pa.LargeStringArray.from_buffers(
        len(bodies), pa.py_buffer(ends), pa.py_buffer(b"".join(bodies))
    )


def int64(values: Sequence[Any]) -> pa.Array:
    """Whole numbers as an array."""
    import pyarrow as pa

    return pa.array(values, pa.int64())
