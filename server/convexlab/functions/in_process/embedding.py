"""Embeddings inside one process: what was written since gets its own, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convexlab import knobs
from convexlab.documents.encoding import to_stored
from convexlab.followers import embeddings
from convexlab.functions import embedding_documents, embedding_model

if TYPE_CHECKING:
    from convexlab.followers.keeper import PlainKeeper
    from convexlab.functions.in_process.calls import Calls
    from convexlab.functions.in_process.store import Store


def embed(store: Store, calls: Calls, derived: PlainKeeper) -> None:
    """Give every document that was written the embeddings that its table declares."""
    finished: tuple[embeddings.Done, ...] = ()
    while wanted := _wanted(store, derived, finished):
        texts = embedding_documents.read(
            store.begin(writable=False), embedding_documents.asked(wanted)
        )
        vectors: dict[int, list[float]] = {}
        for model, numbers in embedding_documents.by_model(texts).items():
            several = [texts[number]["text"] for number in numbers]
            made = embedding_model.embed(several, model=model)
            vectors |= dict(zip(numbers, made, strict=True))
        args = embedding_documents.made(wanted, texts, vectors)
        calls.do(embedding_documents.WRITE, to_stored(args))
        finished = embedding_documents.done(
            wanted, texts, store.committer.snapshot().ts
        )


def _wanted(
    store: Store, derived: PlainKeeper, finished: tuple[embeddings.Done, ...]
) -> tuple[embeddings.Wanted, ...]:
    catalog = store.committer.catalog
    if not any(
        embeddings.sources_of(catalog.schema, table.name)
        for table in catalog.user_tables()
    ):
        return ()
    said = derived.ask(
        embeddings.NAME,
        embeddings.encode(embeddings.Request(knobs.EMBEDDING_BATCH, finished)),
        at=store.committer.snapshot().durable_ts,
        patience_seconds=0.0,
    )
    return embeddings.decode_next(said).wanted
