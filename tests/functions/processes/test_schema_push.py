"""A push's schema: declared, filled and switched, or taken back, on a real committer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from convexlab import define_schema, define_table, knobs, v
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
    from convexlab.engine.table import IndexInfo
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


# -- staged indexes -------------------------------------------------------------------


def staged(*, staged: bool, **fields: Any) -> Schema:
    table = define_table({"text": v.string(), **fields})
    return define_schema({"tasks": table.index("by_text", ["text"], staged=staged)})


@pytest.fixture
def many(committer: Committer) -> Committer:
    """More documents than one slice takes."""
    tx = committer.begin()
    tx.insert_many(
        "tasks", [{"text": f"{n}"} for n in range(knobs.SLICE_DOCUMENTS * 3)]
    )
    committer.accept(tx.finish())
    committer.settle_all()
    return committer


def fill(push: SchemaPush, committer: Committer) -> None:
    while push.has_work:
        push.do_slice()
        committer.settle_all()


def test_a_push_does_not_wait_for_a_staged_index(many: Committer) -> None:
    push = SchemaPush(many)
    schema = staged(staged=True)
    assert push.take(BeginPush(1, json_of(schema))) is None
    many.settle_all()
    (answer,) = push.do_slice()
    assert answer.failure is None
    finish(push, many, schema)
    with pytest.raises(NotFound, match="by_text is currently staged"):
        index(many, "by_text")
    fill(push, many)
    with pytest.raises(NotFound, match="by_text is currently staged"):
        index(many, "by_text")


@pytest.mark.parametrize("is_filled", [True, False])
def test_a_staged_index_is_used_once_a_push_says_so(
    many: Committer, is_filled: bool
) -> None:
    """Whether it was complete by then or not; it is not filled anew."""
    push = SchemaPush(many)
    deploy(push, many, staged(staged=True))
    (built,) = many.catalog.tables["tasks"].others
    if is_filled:
        fill(push, many)
    deploy(push, many, staged(staged=False))
    assert index(many, "by_text").id == built.id
    rows = list(many.begin().range(index(many, "by_text")))
    assert len(rows) == knobs.SLICE_DOCUMENTS * 3


def test_an_index_may_be_staged_again(many: Committer) -> None:
    push = SchemaPush(many)
    deploy(push, many, staged(staged=False))
    deploy(push, many, staged(staged=True))
    with pytest.raises(NotFound, match="by_text is currently staged"):
        index(many, "by_text")
    deploy(push, many, staged(staged=False))
    assert index(many, "by_text").is_usable


def test_giving_a_push_up_leaves_deployed_staged_indexes(many: Committer) -> None:
    push = SchemaPush(many)
    deploy(push, many, staged(staged=True))
    fill(push, many)
    begin(push, many, staged(staged=True, done=v.boolean()))
    push.take(AbortPush(3))
    fill(push, many)
    (kept,) = many.catalog.tables["tasks"].others
    assert (kept.name, kept.state) == ("by_text", "backfilled")


def test_a_staged_index_that_cannot_be_built_fails_the_push_that_uses_it(
    committer: Committer,
) -> None:
    insert(committer, text="twice")
    insert(committer, text="twice")
    push = SchemaPush(committer)

    def unique(*, staged: bool) -> Schema:
        table = define_table({"text": v.string()})
        table.index("by_text", ["text"], unique=True, staged=staged)
        return define_schema({"tasks": table})

    deploy(push, committer, unique(staged=True))
    fill(push, committer)
    answer = begin(push, committer, unique(staged=False))
    assert answer.failure is not None
    assert "is unique" in answer.failure.message


# -- what an earlier push has left ----------------------------------------------------


def test_a_push_without_an_end_is_not_finished_by_the_next(
    committer: Committer,
) -> None:
    """Its process died; the next one pushes what is deployed already."""
    push = SchemaPush(committer)
    deploy(push, committer, tasks())
    assert begin(push, committer, tasks(done=v.boolean())).failure is None
    again = SchemaPush(committer)
    deploy(again, committer, tasks())
    assert committer.catalog.pending is None
    schema = committer.catalog.schema
    assert schema is not None
    assert schema.to_json() == tasks().to_json()


def test_only_the_schema_that_was_begun_is_switched_to(committer: Committer) -> None:
    push = SchemaPush(committer)
    assert begin(push, committer, tasks()).failure is None
    assert begin(SchemaPush(committer), committer, tasks(done=v.any())).failure is None
    with pytest.raises(SchemaViolation, match="overwritten by another push"):
        finish(push, committer, tasks())


def test_what_became_of_old_schemas_is_forgotten_after_an_hour() -> None:
    now = [1_700_000_000_000_000_000]
    committer = Committer(MemoryPersistence(), now_ns=lambda: now[0])
    push = SchemaPush(committer)
    for minute in range(0, 180, 20):
        now[0] += 20 * 60 * 1_000_000_000
        deploy(push, committer, tasks(**{f"f{minute}": v.any()}))
    tx = committer.begin(writable=False, system=True)
    table = tx.table("_schemas")
    assert table is not None
    states = [document["state"] for _, document in tx.range(table.by_creation_time)]
    assert states == ["superseded"] * 4 + ["active"]


def test_without_a_schema_any_document_goes(committer: Committer) -> None:
    push = SchemaPush(committer)
    deploy(push, committer, tasks())
    deploy(push, committer, None)
    tx = committer.begin()
    tx.insert("tasks", {"anything": 1})
    assert "by_text" not in committer.catalog.tables["tasks"].indexes
