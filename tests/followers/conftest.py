from __future__ import annotations

from tests.engine.conftest import clock, committer, persistence, steps

__all__ = ["clock", "committer", "persistence", "steps"]
