"""Embeddings kept up to date: after commits, what they left to embed is embedded.

    a group is published ─▶ (a moment, to gather) ─▶ what is wanted? (the follower)
        ─▶ texts (a reader) ─▶ vectors (the embedder) ─▶ documents (the writer) ─▶ done

As long as the schema declares no embedding, none of this runs. What fails is tried
again, ever later; commits do not wait for any of it.

Invariants
    B1  A document's embedding is that of its text as soon as nothing fails any more:
        what is wanted stays so until it was written.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from convexlab import knobs
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import ConvexlabError, Unavailable
from convexlab.followers.embeddings import (
    NAME,
    Done,
    Request,
    Wanted,
    decode_next,
    encode,
)
from convexlab.functions import embedding_documents
from convexlab.functions.embedding_model import check_texts
from convexlab.sync.active_schema import ActiveSchema
from convexlab.sync.scheduling import NOBODY

if TYPE_CHECKING:
    from convexlab.followers.written import Written
    from convexlab.functions.processes.runners import Question
    from convexlab.sync.gateway import Gateway

_log = logging.getLogger(__name__)


class Embeds(Protocol):
    """Whoever has the models."""

    async def embed(self, texts: list[str], model: str) -> list[list[float]]:
        """The vectors of texts."""


class Follows(Protocol):
    """Whoever keeps the followers."""

    async def ask(
        self, name: str, request: bytes, *, at: int, patience_seconds: float
    ) -> bytes:
        """What a follower says."""


class Embedding:
    """See the module.

    Args:
        gateway: reads and writes.
        keeping: of the follower.
        embedder: makes vectors.
    """

    def __init__(self, gateway: Gateway, keeping: Follows, embedder: Embeds) -> None:
        self._gateway = gateway
        self._keeping = keeping
        self._embedder = embedder
        self._woken = asyncio.Event()
        self._woken.set()
        self._schema = ActiveSchema(gateway)
        self._is_declared = False

    def published(self, written: Written | None) -> None:
        """A group was published; None: nobody knows what it wrote."""
        self._schema.published(written)
        if self._is_declared or self._schema.is_changed:
            self._woken.set()

    async def run(self) -> None:
        """Live until cancelled."""
        setbacks, failure = 0, ""
        while True:
            await self._woken.wait()
            await asyncio.sleep(knobs.EMBEDDING_GATHER_SECONDS)
            self._woken.clear()
            try:
                if await self._declares():
                    await self._catch_up(failure)
            except (ConvexlabError, OSError) as error:
                setbacks, failure = setbacks + 1, str(error)
                _log.warning("embeddings are late: %s", failure)
                await self._tell(failure)
                await asyncio.sleep(_backoff(setbacks))
                self._woken.set()
            else:
                setbacks, failure = 0, ""

    async def answer(self, question: Question) -> bytes:
        """`ctx.embed` of an action: a JSON object of texts and a model."""
        asked: Any = from_stored(question.body)
        check_texts(asked["texts"])
        found: Any = await self._embedder.embed(asked["texts"], asked["model"])
        return to_stored(found)

    # -- catching up ------------------------------------------------------------------

    async def _declares(self) -> bool:
        """Whether the schema that holds has an embedding in it."""
        if self._schema.is_changed:
            self._is_declared = '"_embedding"' in await self._schema.read()
        return self._is_declared

    async def _catch_up(self, failure: str) -> None:
        done: tuple[Done, ...] = ()
        while wanted := await self._next(done, failure):
            done, failure = await self._make(wanted), ""
            if not done:  # all of it is gone, as the next commits will tell
                break

    async def _next(
        self, done: tuple[Done, ...], failure: str, most: int = knobs.EMBEDDING_BATCH
    ) -> tuple[Wanted, ...]:
        request = encode(Request(most, done, failure))
        body = await self._keeping.ask(
            NAME,
            request,
            at=self._gateway.backend.ts,
            patience_seconds=knobs.FOLLOWER_QUERY_SECONDS,
        )
        return decode_next(body).wanted

    async def _tell(self, failure: str) -> None:
        """Have the status say what is wrong."""
        try:
            await self._next((), failure, most=0)
        except (ConvexlabError, OSError):
            _log.info("nobody to tell: %s", failure)

    async def _make(self, wanted: tuple[Wanted, ...]) -> tuple[Done, ...]:
        """The embeddings of some documents; B1."""
        read: Any = await self._read(
            embedding_documents.READ, embedding_documents.asked(wanted)
        )
        vectors: dict[int, list[float]] = {}
        for model, numbers in embedding_documents.by_model(read).items():
            texts = [read[number]["text"] for number in numbers]
            found = await self._embedder.embed(texts, model)
            vectors |= dict(zip(numbers, found, strict=True))
        args = embedding_documents.made(wanted, read, vectors)
        run = await self._gateway.mutate(
            embedding_documents.WRITE, to_stored(args), NOBODY, stored=True
        )
        if run.error is not None:
            raise Unavailable(run.error.message)
        assert run.ts is not None, "it did not fail"
        return embedding_documents.done(wanted, read, run.ts)

    async def _read(self, path: str, args: dict[str, Any]) -> Any:
        said = await self._gateway.query(path, to_stored(args), NOBODY, stored=True)
        if said.error is not None:
            raise Unavailable(said.error.message)
        assert said.value is not None, "a query has a value or an error"
        return from_stored(said.value)


def _backoff(setbacks: int) -> float:
    seconds = knobs.EMBEDDING_RETRY_SECONDS * 2.0 ** min(setbacks - 1, 20)
    return min(seconds, knobs.EMBEDDING_RETRY_MOST_SECONDS)
