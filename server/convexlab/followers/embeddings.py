"""The follower `embeddings`: which documents' embeddings are not those of their texts.

It computes none itself: it knows for each document the text that its embedding was
made from (a digest of it), and tells what is left to do. Whoever does it says so.

    commits ─▶ wanted ──next──▶ the gateway has them embedded and written ──done──▶ known

What is known is in a file; without it every embedding is made once more, which changes
no document whose embedding comes out the same.
"""

from __future__ import annotations

import os
import threading
import zlib
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents.containers import (
    EmbeddingValidator,
    ObjectValidator,
    UnionValidator,
)
from convexlab.documents.document import get_path
from convexlab.engine.timestamp import BEGINNING, Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from convexlab.documents.schema import Schema
    from convexlab.documents.validator import Validator
    from convexlab.engine.catalog import Catalog
    from convexlab.engine.table import TableInfo
    from convexlab.engine.write_set import Revision
    from convexlab.followers.follower import Change

NAME: Final = "embeddings"
FILE: Final = "embeddings.known"
_FORMAT: Final = 2


class Source(msgspec.Struct, frozen=True, array_like=True):
    """A field that is the embedding of another one's text.

    Attributes:
        field: which.
        text: the path of the text.
        model: the model's name.
    """

    field: str
    text: str
    model: str


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """A document whose embedding is to be made, or, if it has no text, taken away."""

    table: int
    id: bytes
    field: str


class Done(msgspec.Struct, frozen=True, array_like=True):
    """An embedding that was made, and written unless the document had changed by then.

    Attributes:
        wanted: whose.
        digest: of the text that it is of.
        ts: the commit that wrote it; what came later is still to be looked at.
    """

    wanted: Wanted
    digest: bytes
    ts: int


class Request(msgspec.Struct, frozen=True, array_like=True):
    """What was done since the last one, what failed, and how many are wanted next.

    Attributes:
        failing: what is passed over.
        failing_models: models for which no text is embedded.
    """

    most: int
    done: tuple[Done, ...] = ()
    failure: str = ""
    failing: frozenset[Wanted] = frozenset()
    failing_models: frozenset[str] = frozenset()


class Next(msgspec.Struct, frozen=True, array_like=True):
    """Some of what is wanted; nothing: all is done."""

    wanted: tuple[Wanted, ...]


encode: Final = msgspec.msgpack.Encoder().encode
decode_next: Final = msgspec.msgpack.Decoder(Next).decode
_decode_request: Final = msgspec.msgpack.Decoder(Request).decode

_Key = tuple[int, str, bytes]  # a table, a field, an internal id
# What was last seen of a document: its text's digest, whether the field is there, since.
_Seen = tuple[bytes, bool, int]


class _State(msgspec.Struct, frozen=True, array_like=True):
    format: int
    watermark: int
    sources: dict[int, tuple[Source, ...]]
    known: dict[_Key, bytes]
    wanted: dict[_Key, _Seen]


def sources_of(schema: Schema | None, table: str) -> tuple[Source, ...]:
    """The embeddings that a schema declares for a table."""
    described = None if schema is None else schema.tables.get(table)
    if described is None:
        return ()
    found = {
        name: Source(name, part.source, part.model or knobs.EMBEDDING_MODEL)
        for one in _objects(described.validator)
        for name, part in one.fields.items()
        if isinstance(part, EmbeddingValidator)
    }
    return tuple(found.values())


def _objects(validator: Validator) -> Iterator[ObjectValidator]:
    if isinstance(validator, ObjectValidator):
        yield validator
    elif isinstance(validator, UnionValidator):
        for member in validator.members:
            yield from _objects(member)


def text_of(document: dict[str, Any], source: Source) -> str | None:
    """The text to embed; None: there is none."""
    text = get_path(document, source.text)
    return text if isinstance(text, str) and text else None


def digest_of(text: str | None, source: Source) -> bytes:
    """What distinguishes an embedding from one of another text or model."""
    if text is None:
        return b""
    both = f"{source.model}\n{text}".encode("utf-8", "surrogatepass")
    return blake2b(both, digest_size=12).digest()


class Embeddings:
    """See the module.

    Args:
        folder: of its file; None keeps all in memory.
    """

    name = NAME

    def __init__(self, folder: Path | None) -> None:
        self._file = folder and folder / FILE
        self._lock = threading.Lock()  # what is wanted and known: N.B. two threads'
        self.damage = ""
        self._forget()
        self._open()

    def _forget(self) -> None:
        self.watermark: Timestamp = BEGINNING
        self._sources: dict[int, tuple[Source, ...]] = {}
        self._known: dict[_Key, bytes] = {}
        self._wanted: dict[_Key, _Seen] = {}
        self._failure = ""
        self._saved_ts = 0
        self._is_saved = True

    def _open(self) -> None:
        if self._file is None or not self._file.exists():
            return
        body = self._file.read_bytes()
        if zlib.crc32(body[4:]) != int.from_bytes(body[:4], "little"):
            self.damage = f"{FILE} is not what was written"
            return  # torn or spoilt: everything is made once more
        try:
            state = msgspec.msgpack.decode(body[4:], type=_State)
        except msgspec.ValidationError as error:
            self.damage = f"{FILE}: {error}"
            return  # of another version
        if state.format != _FORMAT:
            self.damage = f"{FILE}: format {state.format}"
        else:
            self.watermark = Timestamp(state.watermark)
            self._sources, self._known = state.sources, state.known
            self._wanted = state.wanted
            self._saved_ts = state.watermark

    # -- following ------------------------------------------------------------------

    def learn(self, catalog: Catalog) -> Sequence[TableInfo]:
        """See `Follower.learn`: a table with another embedding is looked through anew."""
        sources: dict[int, tuple[Source, ...]] = {
            table.number: of
            for table in catalog.user_tables()
            if (of := sources_of(catalog.schema, table.name))
        }
        before, self._sources = self._sources, sources
        for key in [*self._known.keys(), *self._wanted.keys()]:
            if not any(key[1] == source.field for source in sources.get(key[0], ())):
                self._drop(key)
        return [
            catalog.by_number[number]
            for number, of in sources.items()
            if before.get(number) != of
        ]

    def take(self, table: TableInfo, revisions: Sequence[Revision]) -> None:
        """See `Follower.take`."""
        for revision in revisions:
            self._look(table.number, revision.id, revision.ts, revision)

    def took(self, table: TableInfo) -> None:
        """See `Follower.took`."""

    def apply(self, changes: Sequence[Change], to: Timestamp) -> None:
        """See `Follower.apply`."""
        for change in changes:
            if change.table in self._sources:
                self._look(change.table, change.id, change.ts, change.revision)
        self.watermark, self._is_saved = to, False
        if to - self._saved_ts > knobs.EMBEDDING_SAVE_SECONDS * 1e9:
            self.checkpoint()

    def _look(self, table: int, id_: bytes, ts: int, revision: Revision | None) -> None:
        document = None if revision is None else revision.decode()
        with self._lock:
            for source in self._sources[table]:
                key = (table, source.field, id_)
                if document is None:
                    self._drop(key)
                    continue
                digest = digest_of(text_of(document, source), source)
                self._see(key, (digest, source.field in document, ts))

    def _see(self, key: _Key, seen: _Seen) -> None:
        digest, has, _ = seen
        if (has and self._known.get(key) == digest) if digest else not has:
            self._wanted.pop(key, None)
        else:
            self._wanted[key] = seen

    def _drop(self, key: _Key) -> None:
        self._known.pop(key, None)
        self._wanted.pop(key, None)

    def forget(self) -> None:
        """See `Follower.forget`: what was embedded is remembered all the same."""
        known = self._known
        self._forget()
        self._known = known

    # -- answering ------------------------------------------------------------------

    def answer(self, request: bytes, at: Timestamp) -> bytes:
        """See `Follower.answer`: a Request is answered with a Next."""
        del at  # it is about what is still to be done
        asked = _decode_request(request)
        with self._lock:
            for done in asked.done:
                self._settle(done)
            some = tuple(islice(self._left(asked), asked.most))
        self._failure = asked.failure
        return encode(Next(some))

    def _left(self, asked: Request) -> Iterator[Wanted]:
        models = {(t, s.field): s.model for t, of in self._sources.items() for s in of}
        for (table, field, id_), (digest, _, _) in list(self._wanted.items()):
            wanted = Wanted(table, id_, field)
            model = models.get((table, field)) if digest else None
            if model not in asked.failing_models and wanted not in asked.failing:
                yield wanted

    def _settle(self, done: Done) -> None:
        """N.B. the text may have changed since it was read, or the vector been taken away."""
        key = (done.wanted.table, done.wanted.field, done.wanted.id)
        seen = self._wanted.get(key)
        if seen is None:  # it was deleted meanwhile
            return
        self._known[key], self._is_saved = done.digest, False
        digest, _, ts = seen
        if digest == done.digest and ts <= done.ts:
            del self._wanted[key]
        else:
            self._see(key, seen)

    # -- at rest ----------------------------------------------------------------------

    def checkpoint(self) -> None:
        """See `Follower.checkpoint`."""
        if self._file is None or self.watermark == BEGINNING or self._is_saved:
            return
        # N.B. before it is written: what is done meanwhile is for the next time.
        self._saved_ts, self._is_saved = self.watermark, True
        with self._lock:
            state = _State(
                _FORMAT, self.watermark, self._sources, self._known, self._wanted
            )
            body = msgspec.msgpack.encode(state)
        fresh = self._file.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(zlib.crc32(body).to_bytes(4, "little") + body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)

    def close(self) -> None:
        """See `Follower.close`."""
        self.checkpoint()

    def status(self) -> dict[str, object]:
        """See `Follower.status`."""
        return {
            "wanted": len(self._wanted),
            "embedded": len(self._known),
            "problem": (self._wanted and self._failure) or None,
        }
