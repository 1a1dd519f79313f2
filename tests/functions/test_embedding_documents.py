"""Texts out of documents and vectors into them, unless they changed meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from tests.functions.lab import lab_of

from convexlab.documents.ids import decode_id
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine.definitions import activate_schema, declare_schema
from convexlab.engine.limits import Limits
from convexlab.followers.embeddings import Wanted
from convexlab.functions import embedding_documents as embedding

SCHEMA = define_schema(
    {
        "t": define_table(
            {
                "a": v.string(),
                "b": v.optional(v.string()),
                "ea": v.embedding("a", model="one"),
                "eb": v.embedding("b", model="other"),
            }
        )
    }
)


@pytest.fixture
def lab() -> Any:
    lab = lab_of()
    lab.table("t")
    lab.system(lambda tx: declare_schema(tx, SCHEMA))
    lab.system(activate_schema)
    return lab


def wanted(id_: str, field: str) -> Wanted:
    number, internal_id = decode_id(id_)
    return Wanted(number, internal_id, field)


def written(lab: Any, args: dict[str, Any], limits: Limits | None = None) -> None:
    made = [embedding.Made(**one) for one in args["made"]]
    tx = lab.committer.begin(limits=limits)
    embedding.write(tx, embedding.Write(made))
    lab.committer.accept(tx.finish())


def test_texts_are_read_with_their_models_and_vectors_written_back(lab: Any):
    (x, y) = lab.insert("t", {"a": "A", "b": "B"}, {"a": "C", "eb": [1.0]})
    asked = (wanted(x, "ea"), wanted(x, "eb"), wanted(y, "eb"), wanted(y, "no"))
    read = embedding.read(lab.committer.begin(), embedding.asked(asked))
    assert [one and (one["text"], one["model"]) for one in read] == [
        ("A", "one"),
        ("B", "other"),
        (None, "other"),
        None,
    ]
    assert embedding.by_model(read) == {"one": [0], "other": [1]}
    written(lab, embedding.made(asked, read, {0: [1.0], 1: [2.0]}))
    tx = lab.committer.begin()
    documents = [tx.get(*decode_id(id_)) for id_ in (x, y)]
    assert [(d.get("ea"), d.get("eb")) for d in documents if d] == [
        ([1.0], [2.0]),
        (None, None),
    ]
    assert [(done.digest, done.ts) for done in embedding.done(asked, read, 7)] == [
        (one["digest"], 7) for one in read if one
    ]


def test_documents_that_are_large_together_get_all_their_vectors(lab: Any):
    ids = lab.insert("t", {"a": "A" * 60}, {"a": "B" * 60})
    asked = tuple(wanted(id_, "ea") for id_ in ids)
    read = embedding.read(lab.committer.begin(), embedding.asked(asked))
    args = embedding.made(asked, read, {0: [1.0], 1: [2.0]})
    written(lab, args, limits=Limits(bytes_written=250))
    tx = lab.committer.begin()
    assert [tx.get(*decode_id(id_))["ea"] for id_ in ids] == [[1.0], [2.0]]


def test_a_vector_of_a_text_that_changed_is_not_written(lab: Any):
    (x,) = lab.insert("t", {"a": "A"})
    asked = (wanted(x, "ea"),)
    read = embedding.read(lab.committer.begin(), embedding.asked(asked))
    tx = lab.committer.begin()
    tx.patch(x, {"a": "B"})
    lab.committer.accept(tx.finish())
    written(lab, embedding.made(asked, read, {0: [1.0]}))
    document = lab.committer.begin().get(*decode_id(x))
    assert "ea" not in document


def test_what_is_gone_is_passed_over(lab: Any):
    (x,) = lab.insert("t", {"a": "A"})
    asked = (wanted(x, "ea"), Wanted(9_999_999, b"\0" * 16, "ea"))
    read = embedding.read(lab.committer.begin(), embedding.asked(asked))
    assert read[1] is None
    tx = lab.committer.begin()
    tx.delete(x)
    lab.committer.accept(tx.finish())
    written(lab, embedding.made(asked, read, {0: [1.0]}))
    assert lab.committer.begin().get(*decode_id(x)) is None
