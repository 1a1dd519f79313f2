"""The schema is read again when it may have changed, and until it could be read."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from tests.sync.schema_sayer import SchemaSayer

from convexlab.engine.system_tables import SCHEMAS_BY_STATE
from convexlab.errors import Unavailable
from convexlab.sync.active_schema import ActiveSchema


async def test_what_could_not_be_read_is_still_to_be_read():
    gateway: Any = SchemaSayer(Unavailable("not now"), "text", None)
    schema = ActiveSchema(gateway)
    with pytest.raises(Unavailable):
        await schema.read()
    assert schema.is_changed
    assert await schema.read() == "text"
    assert not schema.is_changed
    assert await schema.read() == ""


async def test_only_a_write_of_schemas_is_a_change():
    gateway: Any = SchemaSayer("one")
    schema = ActiveSchema(gateway)
    await schema.read()

    def published(*indexes: int) -> bool:
        written: Any = SimpleNamespace(index_ids=frozenset(indexes))
        schema.published(written)
        return schema.is_changed

    assert not published(SCHEMAS_BY_STATE + 1000)
    assert published(SCHEMAS_BY_STATE)
    async with asyncio.timeout(60):
        await schema.changed()
