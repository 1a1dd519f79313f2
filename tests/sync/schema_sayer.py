"""A gateway's one answer that matters to who follows the schema."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any


class SchemaSayer:
    """Says the schemas that it was given, one after another, and raises errors."""

    def __init__(self, *says: Any) -> None:
        self.says = list(says)

    async def query(self, *_: Any, **__: Any) -> Any:
        said = self.says.pop(0)
        if isinstance(said, Exception):
            raise said
        value = json.dumps({"active": said, "inProgress": None}).encode()
        return SimpleNamespace(value=value, error=None)
