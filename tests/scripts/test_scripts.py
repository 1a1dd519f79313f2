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


# As Adya's thesis and the papers after it call them; "P" of Berenson et al. (SQL).
ANOMALIES = {
    "G0 dirty write, P0": "dirty_write",
    "P1 dirty read": "dirty_read",
    "G1a aborted read": "aborted_read",
    "G1b intermediate read": "intermediate_read",
    "G1c circular information flow": "circular_information_flow",
    "OTV observed transaction vanishes": "observed_transaction_vanishes",
    "PMP predicate-many-preceders": "predicate_many_preceders",
    "P2 fuzzy read": "fuzzy_read",
    "P3 phantom": "phantom",
    "P4 lost update": "lost_update",
    "G-single read skew, A5A": "read_skew",
    "G-single by predicates": "read_skew_on_predicate",
    "G2-item write skew, A5B": "write_skew",
    "G2 write skew on a predicate": "write_skew_on_predicate",
    "read-only transaction anomaly": "read_only_transaction",
    "long fork": "long_fork",
    "causal violation": "causality",
    "stale read: no linearizability": "stale_read",
}


def test_each_anomaly_of_the_literature_has_its_script():
    names = {path.stem for path in SCRIPTS if path.stem.startswith("anomaly_")}
    assert names == {f"anomaly_{name}" for name in ANOMALIES.values()}
