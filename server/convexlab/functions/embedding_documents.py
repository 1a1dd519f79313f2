"""Embeddings and documents: the texts that are to be embedded, and the vectors into them.

A vector goes into its document only if the text is still the one that it was made of;
otherwise the write that changed the text has it made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab.documents.value import UNDEFINED
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import SCHEMAS_BY_STATE
from convexlab.engine.write_set import by_id_index
from convexlab.errors import CallerError
from convexlab.followers.embeddings import Done, digest_of, sources_of, text_of

if TYPE_CHECKING:
    from convexlab.engine.transaction import Transaction
    from convexlab.engine.write_set import Revision
    from convexlab.followers.embeddings import Source, Wanted

READ: Final = "_system/embeddings:read"
WRITE: Final = "_system/embeddings:write"


class Made(msgspec.Struct, frozen=True):
    """An embedding: of which document's field, and of which text (its digest).

    `vector` is None where there is no text, and the field is to go.
    """

    table: float
    id: bytes
    field: str
    digest: bytes
    vector: list[float] | None


class Write(msgspec.Struct, frozen=True):
    """Some of them."""

    made: list[Made]


def asked(wanted: tuple[Wanted, ...]) -> dict[str, Any]:
    """The arguments of READ."""
    return {
        "wanted": [{"table": w.table, "id": w.id, "field": w.field} for w in wanted]
    }


def by_model(read: list[Any]) -> dict[str, list[int]]:
    """The numbers of those that have a text, by the model that is to embed it."""
    found: dict[str, list[int]] = {}
    for number, one in enumerate(read):
        if one is not None and one["text"] is not None:
            found.setdefault(one["model"], []).append(number)
    return found


def made(
    wanted: tuple[Wanted, ...], read: list[Any], vectors: dict[int, list[float]]
) -> dict[str, Any]:
    """The arguments of WRITE: what was wanted and is there, with its vector by number."""
    return {
        "made": [
            {
                "table": one.table,
                "id": one.id,
                "field": one.field,
                "digest": text["digest"],
                "vector": vectors.get(number),
            }
            for number, (one, text) in enumerate(zip(wanted, read, strict=True))
            if text is not None
        ]
    }


def done(wanted: tuple[Wanted, ...], read: list[Any], ts: int) -> tuple[Done, ...]:
    """What to tell the follower once that was written, at `ts`; what is gone it hears."""
    return tuple(
        Done(one, text["digest"], ts)
        for one, text in zip(wanted, read, strict=True)
        if text is not None
    )


def read(tx: Transaction, args: dict[str, Any]) -> list[Any]:
    """The text, the model and the digest of each; None for what is gone."""
    return [
        _described(*found) if (found := _find(tx, one)) is not None else None
        for one in args["wanted"]
    ]


def _described(revision: Revision, source: Source) -> dict[str, Any]:
    text = text_of(revision.document, source)
    return {"text": text, "model": source.model, "digest": digest_of(text, source)}


def write(tx: Transaction, args: Write, *_: object) -> None:
    """Put vectors into their documents."""
    for made in args.made:
        found = _find(tx, msgspec.structs.asdict(made))
        if found is None:
            continue
        revision, source = found
        if digest_of(text_of(revision.document, source), source) == made.digest:
            _patch(tx, revision, made)


def _patch(tx: Transaction, revision: Revision, made: Made) -> None:
    vector: Any = UNDEFINED if made.vector is None else made.vector
    try:
        with tx.as_system():  # N.B. large documents are not too many bytes together
            tx.patch(revision.document["_id"], {made.field: vector})
    except CallerError as error:  # the schema refuses the document, not only this field
        shown = revision.document["_id"]
        print(f"convexlab: an embedding of {shown} was refused: {error}")  # noqa: T201


def _find(tx: Transaction, one: dict[str, Any]) -> tuple[Revision, Source] | None:
    table = tx.catalog.by_number.get(int(one["table"]))
    if table is None or table.state != "active":
        return None
    # N.B. what nobody recorded would be answered from what is kept, also after a change.
    tx.read_set.record_point(by_id_index(table.number), one["id"])
    tx.read_set.record(SCHEMAS_BY_STATE, EVERYTHING)
    revision = tx.revision(table.number, one["id"])
    for source in sources_of(tx.catalog.schema, table.name):
        if source.field == one["field"] and revision is not None:
            return revision, source
    return None
