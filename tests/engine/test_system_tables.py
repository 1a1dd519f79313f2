from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.engine.definitions import create_index
from convexlab.engine.system_tables import SYSTEM_TABLES, TABLES, index_presence
from convexlab.engine.write_set import touched_keys

if TYPE_CHECKING:
    from convexlab.engine.committer import Committer


def test_tables_that_hold_secrets_keep_no_history():
    keeps = {name: t.keeps_history for name, t in SYSTEM_TABLES.items()}
    assert keeps["_modules"]
    assert not keeps["_environment_variables"]


def test_presence_of_an_index_is_a_range_of_its_name(steps: Any, committer: Committer):
    tx = committer.begin(system=True)
    index = create_index(tx, "t", "by_a", ["a"])
    touched = touched_keys(tx.finish().write_set)
    where, interval = index_presence(index.table, "by_a")
    assert any(i == where and interval.contains(key) for i, key in touched)
    assert any(i == TABLES << 16 for i, _ in touched)
