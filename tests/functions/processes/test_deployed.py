"""A process keeps the code that runs now, whatever moment it is asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convexlab.engine import definitions
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.snapshot import newest_snapshot, snapshot_at
from convexlab.errors import NotFound
from convexlab.functions.processes.deployed import (
    Deployed,
    read_sources,
    write_sources,
)
from convexlab.functions.processes.messages import Source

if TYPE_CHECKING:
    from convexlab.engine.timestamp import Timestamp

MODULE = "from convexlab import query\n@query\ndef {}(ctx):\n    return 1\n"


@pytest.fixture
def committer() -> Committer:
    return Committer(MemoryPersistence())


def push(committer: Committer, **modules: str) -> Timestamp:
    tx = committer.begin(system=True)
    sources = [Source(path, source, version=source) for path, source in modules.items()]
    write_sources(tx, sources)
    committer.accept(tx.finish())
    committer.settle_all()
    return committer.ts


def test_what_is_pushed_is_read_back_and_replaced(committer):
    push(committer, a=MODULE.format("f"), b=MODULE.format("f"))
    push(committer, b=MODULE.format("g"), c=MODULE.format("f"))
    with newest_snapshot(committer.persistence.snapshot()) as snapshot:
        assert [source.path for source in read_sources(snapshot)] == ["b", "c"]
        modules = Deployed().modules(snapshot)
        assert modules.function("b:g")
        with pytest.raises(NotFound):
            modules.function("a:f")


def test_a_look_back_keeps_the_code_that_runs_now(committer):
    push(committer, same=MODULE.format("f"), m=MODULE.format("old"))
    then = push(committer, same=MODULE.format("f"), m=MODULE.format("older"))
    push(committer, same=MODULE.format("f"), m=MODULE.format("new"))
    deployed = Deployed()
    now = newest_snapshot(committer.persistence.snapshot())
    past = snapshot_at(committer.persistence.snapshot(), then)
    current = deployed.modules(now)
    before = deployed.modules(past)
    assert current.function("m:new")
    assert before.function("m:older")
    assert deployed.modules(now) is current
    assert deployed.modules(past) is before


def test_a_look_back_first_gives_way_to_what_is_newer(committer):
    then = push(committer, m=MODULE.format("old"))
    push(committer, m=MODULE.format("new"))
    deployed = Deployed()
    past = snapshot_at(committer.persistence.snapshot(), then)
    assert deployed.modules(past).function("m:old")
    with newest_snapshot(committer.persistence.snapshot()) as now:
        assert deployed.modules(now).function("m:new")
    assert deployed.modules(past).function("m:old")


def test_the_catalog_of_then_is_kept_beside_that_of_now(committer):
    then = push(committer, m=MODULE.format("f"))
    tx = committer.begin(system=True)
    definitions.create_table(tx, "t")
    committer.accept(tx.finish())
    committer.settle_all()
    deployed = Deployed()
    base = committer.persistence.snapshot()
    past, now = snapshot_at(base, then), newest_snapshot(base)
    current = deployed.catalog(now, base)
    before = deployed.catalog(past, base)
    assert "t" in current.tables
    assert "t" not in before.tables
    assert deployed.catalog(now, base) is current
    assert deployed.catalog(past, base) is before
