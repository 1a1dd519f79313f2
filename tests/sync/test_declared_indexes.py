"""Who keeps an index is told as soon as a schema declares it."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from tests.sync.schema_sayer import SchemaSayer

from convexlab import knobs
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.errors import Unavailable
from convexlab.sync.declared_indexes import DeclaredIndexes, followers_for


def table() -> Any:
    return define_table({"body": v.string(), "e": v.array(v.float64())})


def text_of(table_: Any) -> str:
    return json.dumps(define_schema({"t": table_, "u": table()}).to_json())


def with_text(**options: Any) -> str:
    return text_of(table().search_index("s", search_field="body", **options))


def with_vectors(**options: Any) -> str:
    return text_of(table().vector_index("n", vector_field="e", dimensions=2, **options))


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        ("", set()), (text_of(table()), set()), (with_text(), {"text"}),
        (with_vectors(), {"vector"}), (with_vectors(staged=True), {"vector"}),
    ],
)  # fmt: skip
def test_an_index_of_either_kind_has_its_keeper(schema: str, names: set[str]):
    assert followers_for(schema) == names


async def test_what_a_push_declares_is_kept_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(knobs, "FOLLOWER_REST_SECONDS", 0.0)
    told: asyncio.Queue[frozenset[str]] = asyncio.Queue()
    keeping = SimpleNamespace(declare=told.put_nowait)
    gateway: Any = SchemaSayer("", Unavailable("not now"), with_text(), with_vectors())
    declared = DeclaredIndexes(gateway, keeping)
    task = asyncio.create_task(declared.run())
    async with asyncio.timeout(60):
        assert await told.get() == set()
        declared.published(None)
        assert await told.get() == {"text"}  # the error was got over
        written: Any = SimpleNamespace(index_ids=frozenset())
        declared.published(written)
        declared.published(None)
        assert await told.get() == {"vector"}
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
