"""Every script, on every store; see `stage` for what the lines mean.

`REWRITE=1 pytest tests/scripts` writes what comes out now into the scripts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.scripts.stage import outcome

from convexlab import knobs
from convexlab.engine.audit import audit
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.persistence.sqlite import SqlitePersistence

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import Persistence

SCRIPTS = sorted(Path(__file__).parent.glob("*.txt"))
_LINE = "---\n"


def played(script: str, persistence: Persistence) -> str:
    came = outcome(script, persistence)
    persistence.check()
    audit(persistence)
    persistence.close()
    return came


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_store_plays_the_script_as_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "SLICE_DOCUMENTS", 2)
    script, _, expected = path.read_text(encoding="utf-8").partition(_LINE)
    came = played(script, MemoryPersistence())
    assert played(script, SqlitePersistence(tmp_path)) == came
    if os.environ.get("REWRITE"):
        path.write_text(f"{script}{_LINE}{came}\n", encoding="utf-8")
    else:
        assert came == expected.rstrip("\n")
