"""What is to be embedded is, in the end, whatever fails on the way."""

from __future__ import annotations

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convexlab import knobs
from convexlab.documents.encoding import from_stored, to_stored
from convexlab.errors import FollowerBehind, InvalidArguments, ProcessDied, Unavailable
from convexlab.followers.embeddings import NAME, Next, Request, Wanted, encode
from convexlab.functions import embedding_documents
from convexlab.sync.embedding import Embedding, _backoff

if TYPE_CHECKING:
    from collections.abc import Iterator

DECLARED = '{"e": {"type": "array", "_embedding": {}}}'
_decode = msgspec.msgpack.Decoder(Request).decode


class Notes:
    """Gateway, follower and model of a table of texts; the test says what fails.

    Attributes:
        texts: by internal id; what is not embedded as it says is wanted.
        schema: what is active.
        setbacks: errors that come before the next steps, in order; None: none.
        told: the failures that the follower heard of.
        batches: the texts that the model was given at a time, and its name.
        models: by text, where it is not `abc`.
        bad: texts and models over which it fails.
    """

    def __init__(self, texts: dict[bytes, str | None], schema: str = DECLARED) -> None:
        self.texts = texts
        self.schema = schema
        self.setbacks: deque[Exception | None] = deque()
        self.told: list[str] = []
        self.batches: list[tuple[str, list[str]]] = []
        self.models: dict[str | None, str] = {}
        self.bad: set[str] = set()
        self.embedded: dict[bytes, tuple[str | None, Any]] = {}
        self.settled: set[bytes] = set()
        self.backend = SimpleNamespace(ts=5)
        self.is_done, self.has_said = asyncio.Event(), asyncio.Event()
        self.is_at_end = asyncio.Event()  # but for what is passed over
        self.embedding = Embedding(self, self, self)  # type: ignore[arg-type]  # all three

    def _step(self) -> None:
        setback = self.setbacks.popleft() if self.setbacks else None
        if setback is not None:
            raise setback

    # -- the gateway's ----------------------------------------------------------------

    async def query(self, path: str, args: bytes, *_: Any, **__: Any) -> Any:
        if path != embedding_documents.READ:
            self.has_said.set()
            return said({"active": self.schema})
        self._step()
        asked: Any = from_stored(args)
        return said([self._read(each["id"]) for each in asked["wanted"]])

    def _read(self, id_: bytes) -> Any:
        if id_ not in self.texts:
            return None
        text = self.texts[id_]
        model = self.models.get(text, "abc")
        return {"text": text, "model": model, "digest": repr(text).encode()}

    async def mutate(self, path: str, args: bytes, *_: Any, **__: Any) -> Any:
        assert path == embedding_documents.WRITE
        self._step()
        made: Any = from_stored(args)
        for one in made["made"]:
            self.embedded[one["id"]] = (self.texts[one["id"]], one["vector"])
        return said(None)

    # -- the follower's ---------------------------------------------------------------

    async def ask(self, name: str, request: bytes, **_: Any) -> bytes:
        assert name == NAME
        asked = _decode(request)
        self.told.append(asked.failure)
        if asked.most:
            self._step()
        self.settled |= {done.wanted.id for done in asked.done}
        wanted = [Wanted(1, id_, "e") for id_ in self.texts if id_ not in self.settled]
        left = [w for w in wanted if not self._is_passed_over(w, asked)][: asked.most]
        if asked.most and not wanted:
            self.is_done.set()
        if asked.most and not left:
            self.is_at_end.set()
        return encode(Next(tuple(left)))

    def _is_passed_over(self, wanted: Wanted, asked: Request) -> bool:
        model = self.models.get(self.texts[wanted.id], "abc")
        return wanted in asked.failing or model in asked.failing_models

    # -- the model's ------------------------------------------------------------------

    async def embed(self, texts: list[str], model: str) -> list[list[float]]:
        self._step()
        self.batches.append((model, texts))
        if self.bad & {model, *texts}:
            raise ProcessDied("it died")
        return [[float(len(text))] for text in texts]


def said(value: Any) -> Any:
    return SimpleNamespace(error=None, value=to_stored(value), ts=6)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(knobs, "EMBEDDING_GATHER_SECONDS", 0.0)
    monkeypatch.setattr(knobs, "EMBEDDING_RETRY_SECONDS", 0.0)
    return


async def live(notes: Notes) -> None:
    """Have it run until nothing is wanted."""
    task = asyncio.create_task(notes.embedding.run())
    try:
        async with asyncio.timeout(60):
            await notes.is_done.wait()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_what_is_wanted_is_embedded_in_batches():
    texts = {bytes([n]): "a" * n for n in range(knobs.EMBEDDING_BATCH + 3)}
    notes = Notes(dict(texts))
    await live(notes)
    sizes = [(model, len(batch)) for model, batch in notes.batches]
    assert sizes == [("abc", knobs.EMBEDDING_BATCH), ("abc", 3)]
    vectors = {id_: vector for id_, (_, vector) in notes.embedded.items()}
    assert vectors == {bytes([n]): [float(n)] for n in range(len(texts))}


async def test_no_text_takes_the_embedding_away_without_a_model():
    notes = Notes({b"1": None})
    await live(notes)
    assert notes.embedded == {b"1": (None, None)}
    assert notes.batches == []


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("error", [FollowerBehind("later"), OSError("it died")])
async def test_b1_whichever_step_fails_is_done_again(step: int, error: Exception):
    notes = Notes({b"1": "a"})
    # asks, reads, embeds, writes, tells: then it fails, twice
    notes.setbacks = deque([*[None] * step, error, error])
    await live(notes)
    assert notes.embedded == {b"1": ("a", [1.0])}
    assert notes.settled == {b"1"}
    assert str(error) in notes.told, "the status says what is wrong"
    assert notes.told[-1] == "" or len(notes.told) < 4


async def until_the_end(notes: Notes) -> None:
    """Until all is embedded that can be."""
    async with asyncio.timeout(60):
        await notes.is_at_end.wait()
        notes.is_at_end.clear()


async def test_b2_a_text_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "EMBEDDING_RETRY_SECONDS", 1e6)
    monkeypatch.setattr(knobs, "EMBEDDING_RETRY_MOST_SECONDS", 1e6)
    texts: dict[bytes, str | None] = {bytes([n]): f"a{n}" for n in range(70)}
    notes = Notes(texts)
    notes.bad = {"a3", "a40"}
    task = asyncio.create_task(notes.embedding.run())
    await until_the_end(notes)
    assert notes.settled == notes.texts.keys() - {b"\x03", b"("}
    notes.texts[b"new"] = "new"
    notes.embedding.published(None)
    await until_the_end(notes)
    assert b"new" in notes.settled, "what is written meanwhile waits for none of that"
    assert notes.told[-1] == "The text 'a40' was not embedded: it died"
    task.cancel()
    await asyncio.wait([task])


async def test_b2_a_model_that_fails_holds_up_no_other():
    notes = Notes({bytes([n]): "bad" if n < 99 else "good" for n in range(100)})
    notes.models, notes.bad = {"bad": "worse"}, {"worse"}
    task = asyncio.create_task(notes.embedding.run())
    await until_the_end(notes)
    assert notes.settled == {bytes([99])}
    assert "it died" in notes.told
    assert [len(b) for model, b in notes.batches if model == "worse"][:2] == [32, 1]
    notes.bad.clear()
    async with asyncio.timeout(60):
        while not notes.is_done.is_set():
            notes.embedding.published(None)  # though commits come all the time
            await asyncio.sleep(0)
    assert notes.settled == notes.texts.keys(), "it is tried again"
    assert notes.told[-1] == ""
    task.cancel()
    await asyncio.wait([task])


async def test_a_write_that_was_refused_is_a_setback(monkeypatch: pytest.MonkeyPatch):
    notes = Notes({b"1": "a"})
    mutate, refusals = notes.mutate, ["the writer is full"]

    async def refuse(*args: Any, **options: Any) -> Any:
        if refusals:
            return SimpleNamespace(error=SimpleNamespace(message=refusals.pop()))
        return await mutate(*args, **options)

    monkeypatch.setattr(notes, "mutate", refuse)
    await live(notes)
    assert "the writer is full" in notes.told
    assert notes.embedded == {b"1": ("a", [1.0])}


async def test_nothing_is_asked_as_long_as_no_embedding_is_declared():
    notes = Notes({b"1": "a"}, schema="")
    task = asyncio.create_task(notes.embedding.run())
    await notes.has_said.wait()
    await asyncio.sleep(0)
    notes.embedding.published(SimpleNamespace(index_ids=set()))  # type: ignore[arg-type]
    assert not notes.embedding._woken.is_set()
    assert notes.told == []
    notes.schema = DECLARED
    notes.embedding.published(None)
    async with asyncio.timeout(60):
        await notes.is_done.wait()
    task.cancel()
    await asyncio.wait([task])
    assert notes.embedded == {b"1": ("a", [1.0])}


async def test_an_action_hears_what_is_wrong_with_its_texts():
    notes = Notes({})
    question: Any = SimpleNamespace(body=to_stored({"texts": ["a"], "model": "abc"}))
    assert from_stored(await notes.embedding.answer(question)) == [[1.0]]
    question.body = to_stored({"texts": [1], "model": "abc"})
    with pytest.raises(InvalidArguments):
        await notes.embedding.answer(question)
    notes.setbacks.append(Unavailable("no model"))
    question.body = to_stored({"texts": ["a"], "model": "abc"})
    with pytest.raises(Unavailable, match="no model"):
        await notes.embedding.answer(question)


def test_setbacks_are_further_and_further_apart(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "EMBEDDING_RETRY_SECONDS", 1.0)
    assert [_backoff(n) for n in (1, 2, 3, 7, 5000)] == [1.0, 2.0, 4.0, 60.0, 60.0]
