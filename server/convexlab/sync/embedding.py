"""Embeddings kept up to date: after commits, what they left to embed is embedded.

    a group is published ─▶ (a moment, to gather) ─▶ what is wanted? (the follower)
        ─▶ texts (a reader) ─▶ vectors (the embedder) ─▶ documents (the writer) ─▶ done

As long as the schema declares no embedding, none of this runs. What fails is tried
again, ever later; commits do not wait for any of it.

Invariants
    B1  A document's embedding is that of its text as soon as nothing fails any more:
        what is wanted stays so until it was written.
    B2  A model that gives nothing holds up no other one's texts, and a text that cannot
        be embedded no other text: they are passed over until they are tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

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
    from collections.abc import Iterable

    from convexlab.followers.written import Written
    from convexlab.functions.processes.runners import Question
    from convexlab.sync.gateway import Gateway

_log = logging.getLogger(__name__)

# What any model embeds that embeds anything.
_PROBE: Final = ["a"]


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


class Failing:
    """What cannot be embedded: it is passed over until it is tried again (B2).

    Attributes:
        models: that embed nothing.
        documents: that such a model is to embed, or whose texts cannot be.
        until: when they are tried again, on the loop's clock; None: there are none.
    """

    def __init__(self) -> None:
        self.models: set[str] = set()
        self.documents: set[Wanted] = set()
        self.until: float | None = None
        self._setbacks = 0

    def add(self, documents: Iterable[Wanted], *models: str) -> None:
        """Some more."""
        self.models.update(models)
        self.documents.update(documents)
        if self.until is None:
            self._setbacks += 1
            now = asyncio.get_running_loop().time()
            self.until = now + _backoff(self._setbacks)

    def look_at_the_clock(self) -> None:
        """Pass over nothing once it is time to try again."""
        now = asyncio.get_running_loop().time()
        if self.until is not None and self.until <= now:
            self.models.clear()
            self.documents.clear()
            self.until = None

    def is_over(self) -> None:
        """Nothing was left to pass over: the next failure is the first one again."""
        self._setbacks = 0


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
        self._failing = Failing()
        self._problem = ""

    def published(self, written: Written | None) -> None:
        """A group was published; None: nobody knows what it wrote."""
        self._schema.published(written)
        if self._is_declared or self._schema.is_changed:
            self._woken.set()

    async def run(self) -> None:
        """Live until cancelled."""
        setbacks = 0
        while True:
            await self._wait()
            try:
                if await self._declares():
                    await self._catch_up()
            except (ConvexlabError, OSError) as error:
                setbacks += 1
                self._fails(str(error))
                await self._tell()
                await asyncio.sleep(_backoff(setbacks))
                self._woken.set()
            else:
                setbacks = 0

    async def _wait(self) -> None:
        """Until there may be something to do."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._failing.until):
                await self._woken.wait()
        self._failing.look_at_the_clock()
        await asyncio.sleep(knobs.EMBEDDING_GATHER_SECONDS)
        self._woken.clear()

    def _fails(self, problem: str) -> None:
        _log.warning("embeddings are late: %s", problem)
        self._problem = problem

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

    async def _catch_up(self) -> None:
        done: tuple[Done, ...] = ()
        while wanted := await self._next(done):
            done = await self._make(wanted)
            if self._failing.until is None:
                self._problem = ""
            if not done and self._failing.documents.isdisjoint(wanted):
                break  # all of it is gone, as the next commits will tell
        if self._failing.until is None:
            self._failing.is_over()
            self._problem = ""

    async def _next(
        self, done: tuple[Done, ...], most: int = knobs.EMBEDDING_BATCH
    ) -> tuple[Wanted, ...]:
        documents, models = self._failing.documents, self._failing.models
        request = Request(
            most, done, self._problem, frozenset(documents), frozenset(models)
        )
        body = await self._keeping.ask(
            NAME,
            encode(request),
            at=self._gateway.backend.ts,
            patience_seconds=knobs.FOLLOWER_QUERY_SECONDS,
        )
        return decode_next(body).wanted

    async def _tell(self) -> None:
        """Have the status say what is wrong."""
        try:
            await self._next((), most=0)
        except (ConvexlabError, OSError):
            _log.info("nobody to tell: %s", self._problem)

    async def _make(self, wanted: tuple[Wanted, ...]) -> tuple[Done, ...]:
        """The embeddings of some documents; B1."""
        read: Any = await self._read(
            embedding_documents.READ, embedding_documents.asked(wanted)
        )
        vectors: dict[int, list[float]] = {}
        for model, numbers in embedding_documents.by_model(read).items():
            texts = {number: read[number]["text"] for number in numbers}
            found = await self._embedded(texts, model, wanted)
            vectors |= found
            for number in texts.keys() - found.keys():
                read[number] = None
        args = embedding_documents.made(wanted, read, vectors)
        run = await self._gateway.mutate(
            embedding_documents.WRITE, to_stored(args), NOBODY, stored=True
        )
        if run.error is not None:
            raise Unavailable(run.error.message)
        assert run.ts is not None, "it did not fail"
        return embedding_documents.done(wanted, read, run.ts)

    async def _embedded(
        self, texts: dict[int, str], model: str, wanted: tuple[Wanted, ...]
    ) -> dict[int, list[float]]:
        """The vectors of texts by their numbers, without those that fail (B2)."""
        try:
            return await self._at_once(texts, model)
        except (ConvexlabError, OSError) as error:
            _log.warning("one of %s texts fails: %s", len(texts), error)
        try:
            await self._embedder.embed(_PROBE, model)
        except (ConvexlabError, OSError) as error:
            self._failing.add([wanted[number] for number in texts], model)
            self._fails(str(error))
            return {}
        vectors: dict[int, list[float]] = {}
        for number, text in texts.items():
            try:
                vectors |= await self._at_once({number: text}, model)
            except (ConvexlabError, OSError) as error:
                self._failing.add([wanted[number]])
                self._fails(f"The text {text[:40]!r} was not embedded: {error}")
        return vectors

    async def _at_once(
        self, texts: dict[int, str], model: str
    ) -> dict[int, list[float]]:
        found = await self._embedder.embed([*texts.values()], model)
        return dict(zip(texts, found, strict=True))

    async def _read(self, path: str, args: dict[str, Any]) -> Any:
        said = await self._gateway.query(path, to_stored(args), NOBODY, stored=True)
        if said.error is not None:
            raise Unavailable(said.error.message)
        assert said.value is not None, "a query has a value or an error"
        return from_stored(said.value)


def _backoff(setbacks: int) -> float:
    seconds = knobs.EMBEDDING_RETRY_SECONDS * 2.0 ** min(setbacks - 1, 20)
    return min(seconds, knobs.EMBEDDING_RETRY_MOST_SECONDS)
