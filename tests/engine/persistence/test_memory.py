from __future__ import annotations

import pytest

from convexlab.engine.persistence.memory import MemoryPersistence


def test_groups_follow_one_another():
    store = MemoryPersistence()
    store.apply([])
    with pytest.raises(AssertionError, match="not settled"):
        store.apply([])
    store.flush()
    store.settled()
    store.apply([])
