"""What is left to embed: every text that changed, until somebody says it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.engine.conftest import Clock
from tests.followers.vectors import push

from convexlab.documents.ids import decode_id
from convexlab.documents.schema import Schema, define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.timestamp import Timestamp
from convexlab.followers.embeddings import (
    FILE,
    Done,
    Embeddings,
    Request,
    Source,
    Wanted,
    decode_next,
    digest_of,
    encode,
    sources_of,
)
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from pathlib import Path


def schema_of(model: str | None = None, **others: Any) -> Schema:
    fields = {"text": v.any(), "e": v.embedding("text", model=model), **others}
    return define_schema({"t": define_table(fields), "plain": define_table(v.any())})


class Told:
    """A committer, and a follower that is asked what is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryPersistence()
        self.committer = Committer(self.store, now_ns=Clock())
        push(self.committer, schema_of())
        self.follow()

    def follow(self) -> None:
        self.embeddings = Embeddings(self.folder)
        self.following = Following(self.store, self.embeddings)

    def __call__(self, step: Any) -> Any:
        tx = self.committer.begin()
        result = step(tx)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        return result

    def left(self, *done: Done, most: int = 100) -> list[tuple[int, bytes]]:
        self.following.advance()
        return self.asked(Request(most, done))

    def asked(self, request: Request) -> list[tuple[int, bytes]]:
        at = Timestamp(self.committer.snapshot().ts)
        said = decode_next(self.embeddings.answer(encode(request), at))
        return [(w.table, w.id) for w in said.wanted]

    def finish(self, id_: str, text: str) -> None:
        """Embed a document's text, as the gateway does."""
        self(lambda tx: tx.patch(id_, {"e": [float(len(text))]}))
        self.left(self.done(id_, text))

    def done(self, id_: str, text: str) -> Done:
        """What the gateway says of a text whose vector the last commit wrote, or refused."""
        digest = digest_of(text, self.source)
        now = self.committer.snapshot().ts
        return Done(Wanted(*decode_id(id_), "e"), digest, now)

    @property
    def source(self) -> Source:
        (source,) = sources_of(self.committer.catalog.schema, "t")
        return source


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_a_text_is_wanted_until_it_is_done(told: Told):
    assert told.left() == []
    id_ = told(lambda tx: tx.insert("t", {"text": "abc"}))
    assert told.left() == [decode_id(id_)]
    assert told.left() == [decode_id(id_)]
    told.finish(id_, "abc")
    assert told.left() == []


def test_only_a_write_of_the_text_or_of_its_embedding_counts(told: Told):
    push(told.committer, schema_of(other=v.optional(v.number())))
    id_ = told(lambda tx: tx.insert("t", {"text": "abc"}))
    told.finish(id_, "abc")
    told(lambda tx: tx.patch(id_, {"other": 1}))
    assert told.left() == []
    told(lambda tx: tx.patch(id_, {"text": "abcd"}))
    assert told.left() == [decode_id(id_)]
    told(lambda tx: tx.patch(id_, {"text": "abc"}))
    assert told.left() == []
    told(lambda tx: tx.replace(id_, {"text": "abc"}))
    assert told.left() == [decode_id(id_)]


def test_what_was_overtaken_stays_wanted(told: Told):
    id_ = told(lambda tx: tx.insert("t", {"text": "old"}))
    told.left()
    told(lambda tx: tx.patch(id_, {"text": "new"}))
    assert told.left(told.done(id_, "old")) == [decode_id(id_)]
    told.finish(id_, "new")
    assert told.left() == []


@pytest.mark.parametrize("change", [{"text": "new"}, {"text": "old"}])
def test_what_changes_before_it_is_called_done_stays_wanted(told: Told, change: Any):
    id_ = told(lambda tx: tx.insert("t", {"text": "old"}))
    told.left()
    told(lambda tx: tx.patch(id_, {"e": [1.0]}))
    done = told.done(id_, "old")
    told(lambda tx: tx.replace(id_, change))
    assert told.left(done) == [decode_id(id_)]


def test_an_embedding_that_was_refused_is_not_made_again(told: Told):
    """Until the document changes."""
    id_ = told(lambda tx: tx.insert("t", {"text": "old"}))
    assert told.left(told.done(id_, "old")) == []
    told(lambda tx: tx.patch(id_, {"text": "new"}))
    assert told.left() == [decode_id(id_)]


def test_what_is_gone_when_it_is_called_done_is_not_remembered(told: Told):
    id_ = told(lambda tx: tx.insert("t", {"text": "abc"}))
    done = told.done(id_, "abc")
    told(lambda tx: tx.delete(id_))
    assert told.left(done) == []
    assert told.embeddings.status()["embedded"] == 0


def test_no_text_wants_no_embedding_and_takes_one_away(told: Told):
    ids = told(
        lambda tx: tx.insert_many(
            "t", [{"text": ""}, {"text": None}, {"text": 5}, {"text": "", "e": [1.0]}]
        )
    )
    assert told.left() == [decode_id(ids[3])]
    told(lambda tx: tx.patch(ids[3], {"e": v_undefined()}))
    assert told.left() == []


def v_undefined() -> Any:
    from convexlab.documents.value import UNDEFINED

    return UNDEFINED


def test_what_is_deleted_is_wanted_no_more(told: Told):
    id_ = told(lambda tx: tx.insert("t", {"text": "abc"}))
    told.left()
    told(lambda tx: tx.delete(id_))
    assert told.left() == []
    assert told.embeddings.status() == {"wanted": 0, "embedded": 0, "problem": None}


def test_what_fails_is_passed_over(told: Told):
    ids = [told(lambda tx, n=n: tx.insert("t", {"text": f"{n}"})) for n in range(3)]
    told.left()
    failing = frozenset({Wanted(*decode_id(ids[0]), "e")})
    assert told.asked(Request(1, failing=failing)) == [decode_id(ids[1])]
    empty = told(lambda tx: tx.insert("t", {"text": "", "e": [1.0]}))
    models = frozenset({told.source.model})
    told.left()
    assert told.asked(Request(9, failing_models=models)) == [decode_id(empty)]
    assert told.asked(Request(9, failing_models=frozenset({"another"}))) == told.left()


def test_another_model_wants_all_anew(told: Told):
    id_ = told(lambda tx: tx.insert("t", {"text": "abc"}))
    told.finish(id_, "abc")
    push(told.committer, schema_of("other"))
    assert told.left() == [decode_id(id_)]
    push(told.committer, define_schema({}))
    assert told.left() == []


def test_it_goes_on_from_its_file_and_without_it_begins_anew(told: Told):
    done, left = told(lambda tx: tx.insert_many("t", [{"text": "a"}, {"text": "b"}]))
    told.finish(done, "a")
    told.embeddings.checkpoint()
    told.follow()
    assert told.left() == [decode_id(left)]
    told.embeddings.close()
    file = told.folder / FILE
    file.write_bytes(file.read_bytes()[:-1])
    told.follow()
    assert len(told.left()) == 2


def test_a_follower_that_forgets_its_place_remembers_what_was_done(told: Told):
    id_ = told(lambda tx: tx.insert("t", {"text": "abc"}))
    told.finish(id_, "abc")
    told.following.start_again()
    assert told.left() == []


def test_embeddings_are_found_in_unions_too():
    one = v.object({"a": v.string(), "e": v.embedding("a", model="m")})
    other = v.object({"b": v.string()})
    schema = define_schema({"t": define_table(v.union(one, other))})
    assert sources_of(schema, "t") == (Source("e", "a", "m"),)
    assert sources_of(schema, "u") == sources_of(None, "t") == ()
