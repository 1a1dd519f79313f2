"""A committer over each store, and steps in the domain's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.persistence.sqlite import SqlitePersistence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.transaction import Transaction


class Clock:
    """A wall clock that goes only when told."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def __call__(self) -> int:
        self.now += 1_000_000
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "sqlite"])
def persistence(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Persistence]:
    store: Persistence = (
        MemoryPersistence()
        if request.param == "memory"
        else SqlitePersistence(tmp_path / "store")
    )
    yield store
    store.close()


@pytest.fixture
def committer(persistence: Persistence, clock: Clock) -> Iterator[Committer]:
    committer = Committer(persistence, now_ns=clock)
    yield committer
    committer.settle_all()
    persistence.check()


class Steps:
    """Transactions run and accepted, one after another."""

    def __init__(self, committer: Committer) -> None:
        self.committer = committer

    def __call__(
        self,
        step: Callable[[Transaction], Any],
        *,
        system: bool = False,
        settle: bool = True,
        call_id: str | None = None,
    ) -> Any:
        """Run one and accept it; gives what it gave."""
        tx = self.committer.begin(system=system)
        result = step(tx)
        self.committer.accept(tx.finish(), call_id=call_id, outcome=b"ok")
        if settle:
            self.committer.settle_all()
        return result

    def documents(self, table: str, index: str = "by_creation_time") -> list[Any]:
        """The user's fields of all documents of a table, in an index's order."""
        return user_fields(self.committer.begin(writable=False), table, index)


def user_fields(
    tx: Transaction, table: str, index: str = "by_creation_time", **kwargs: Any
) -> list[dict[str, Any]]:
    info = tx.table(table)
    if info is None:
        return []
    return [
        {k: v for k, v in document.items() if not k.startswith("_")}
        for _, document in tx.range(tx.index(info, index), **kwargs)
    ]


@pytest.fixture
def steps(committer: Committer) -> Steps:
    return Steps(committer)


@pytest.fixture
def fields_in() -> Callable[..., list[dict[str, Any]]]:
    return user_fields
