"""A push's schema: declared, filled and switched, or taken back, on a real committer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convexlab import define_schema, define_table, v
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.errors import NotFound, SchemaViolation
from convexlab.functions.processes.messages import (
    AbortPush,
    BeginPush,
    FinishPush,
    Source,
)
from convexlab.functions.processes.schema_push import SchemaPush

if TYPE_CHECKING:
    from convexlab.documents.schema import Schema
    from convexlab.engine.catalog import IndexInfo
    from convexlab.functions.processes.messages import Answer


@pytest.fixture
def committer() -> Committer:
    return Committer(MemoryPersistence())


def json_of(schema: Schema | None) -> bytes:
    return msgspec.json.encode(schema and schema.to_json())


def tasks(**fields: Any) -> Schema:
    table = define_table({"text": v.string(), **fields})
    return define_schema({"tasks": table.index("by_text", ["text"])})


def begin(push: SchemaPush, committer: Committer, schema: Schema | None) -> Answer:
    """Begin, and fill until the answer comes."""
    assert push.take(BeginPush(1, json_of(schema))) is None
    committer.settle_all()
    for _ in range(1000):
        answers = push.do_slice()
        committer.settle_all()
        if answers:
            return answers[0]
    raise AssertionError("the push was never answered")


def finish(push: SchemaPush, committer: Committer, schema: Schema | None) -> None:
    push.finish(FinishPush(2, json_of(schema), [Source("tasks", "x = 1")]))
    committer.settle_all()


def deploy(push: SchemaPush, committer: Committer, schema: Schema | None) -> None:
    assert begin(push, committer, schema).failure is None
    finish(push, committer, schema)


def insert(committer: Committer, **fields: Any) -> None:
    tx = committer.begin()
    tx.insert("tasks", fields)
    committer.accept(tx.finish())
    committer.settle_all()


def index(committer: Committer, name: str) -> IndexInfo:
    return committer.catalog.tables["tasks"].index(name)


def test_an_index_is_usable_only_after_the_switch(committer: Committer) -> None:
    insert(committer, text="there before")
    push = SchemaPush(committer)
    assert begin(push, committer, tasks()).failure is None
    with pytest.raises(NotFound, match="backfilling"):
        index(committer, "by_text")
    finish(push, committer, tasks())
    by_text = index(committer, "by_text")
    rows = list(committer.begin().range(by_text))
    assert [row["text"] for _, row in rows] == ["there before"]


def test_a_changed_index_serves_as_it_was_until_the_switch(
    committer: Committer,
) -> None:
    push = SchemaPush(committer)
    deploy(push, committer, tasks())
    old = index(committer, "by_text")
    insert(committer, text="a")
    table = define_table(v.any()).index("by_text", ["text", "owner"])
    with_owner = define_schema({"tasks": table})
    assert begin(push, committer, with_owner).failure is None
    assert index(committer, "by_text").id == old.id
    finish(push, committer, with_owner)
    assert index(committer, "by_text").fields == ("text", "owner")


def test_giving_up_leaves_what_was(committer: Committer) -> None:
    push = SchemaPush(committer)
    deploy(push, committer, tasks())
    wider = tasks(done=v.boolean())
    begin(push, committer, wider)
    push.take(AbortPush(3))
    committer.settle_all()
    schema = committer.catalog.schema
    assert schema is not None
    assert schema.to_json() == tasks().to_json()
    insert(committer, text="still allowed without `done`")


def test_a_live_write_that_breaks_the_pending_schema_fails_the_push(
    committer: Committer,
) -> None:
    """The write goes on; it is the push that loses."""
    push = SchemaPush(committer)
    deploy(push, committer, tasks())
    wider = tasks(done=v.boolean())
    assert begin(push, committer, wider).failure is None
    insert(committer, text="no `done` yet")
    with pytest.raises(SchemaViolation, match="done"):
        finish(push, committer, wider)


def test_duplicates_fail_a_unique_index(committer: Committer) -> None:
    insert(committer, text="twice")
    insert(committer, text="twice")
    push = SchemaPush(committer)
    table = define_table({"text": v.string()}).index("by_text", ["text"], unique=True)
    answer = begin(push, committer, define_schema({"tasks": table}))
    assert answer.failure is not None
    assert "by_text" in answer.failure.message


def test_without_a_schema_any_document_goes(committer: Committer) -> None:
    push = SchemaPush(committer)
    deploy(push, committer, tasks())
    deploy(push, committer, None)
    tx = committer.begin()
    tx.insert("tasks", {"anything": 1})
    assert "by_text" not in committer.catalog.tables["tasks"].indexes
