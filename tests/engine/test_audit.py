from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.engine.audit import audit
from convexlab.engine.definitions import create_index

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.persistence.sqlite import SqlitePersistence


def test_a_sound_store_passes(steps: Any, persistence: Persistence):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    document = steps(lambda tx: tx.insert("t", {"n": 1}))
    steps(lambda tx: tx.patch(document, {"n": 2}))
    audit(persistence)


@pytest.mark.parametrize("persistence", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM index_entries WHERE index_id = 10001 << 16 | 2",
        "UPDATE index_entries SET key = key || x'00' WHERE index_id = 10001 << 16 | 2",
        "DELETE FROM log",
    ],
)
def test_a_damaged_store_does_not(
    steps: Any, persistence: SqlitePersistence, damage: str
):
    steps(lambda tx: create_index(tx, "t", "by_n", ["n"]), system=True)
    steps(lambda tx: tx.insert("t", {"n": 1}))
    connection = persistence._write
    connection.execute("BEGIN")
    connection.execute(damage)
    connection.execute("COMMIT")
    with pytest.raises(AssertionError):
        audit(persistence)
    connection.execute("DELETE FROM documents")
    connection.execute("DELETE FROM index_entries")
