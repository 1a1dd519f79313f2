"""The schema is read again when it may have changed, and until it could be read."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from convexlab.engine.catalog import SCHEMAS_BY_STATE
from convexlab.errors import Unavailable
from convexlab.sync.active_schema import ActiveSchema


class Gateway:
    """Says texts, one after another, and raises errors."""

    def __init__(self, *says: Any) -> None:
        self.says = list(says)

    async def query(self, *_: Any, **__: Any) -> Any:
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        value = json.dumps({"active": said, "inProgress": None}).encode()
        return SimpleNamespace(value=value, error=None)


async def test_what_could_not_be_read_is_still_to_be_read():
    gateway: Any = Gateway(Unavailable("not now"), "text", None)
    schema = ActiveSchema(gateway)
    with pytest.raises(Unavailable):
        await schema.read()
    assert schema.is_changed
    assert await schema.read() == "text"
    assert not schema.is_changed
    assert await schema.read() == ""


async def test_only_a_write_of_schemas_is_a_change():
    gateway: Any = Gateway("one")
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
