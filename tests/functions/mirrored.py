"""A lab whose commits a columnar mirror in memory follows."""

from __future__ import annotations

import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.functions.lab import HEADER, Lab

from convexlab.documents.encoding import to_wire
from convexlab.followers.keeper import PlainKeeper
from convexlab.functions import runner
from convexlab.functions.processes.index_keeper import followers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.followers.keeper import DerivedIndexes
    from convexlab.functions.runner import Outcome


class Mirrored(Lab):
    """A lab with derived indexes; what a mutation wrote is durable when it returns."""

    def __init__(self, modules: dict[str, str]) -> None:
        super().__init__(modules)
        self.keeper = PlainKeeper(self.committer.persistence, followers_of(None))
        self.derived: DerivedIndexes = self.keeper

    def outcome(self, kind: Any, path: str, args: dict[str, Any], **_: Any) -> Outcome:
        tx = self.last_tx = self.committer.begin(writable=kind == "mutation")
        outcome = runner.run(
            self.modules,
            path,
            to_wire(args),
            tx,
            kind=kind,
            seed=self.seed,
            now_ms=0,
            derived=self.derived,
        )
        if kind == "mutation" and outcome.error is None:
            self.committer.accept(tx.finish())
            self.committer.settle_all()
        return outcome


@contextmanager
def mirrored_lab(text: str) -> Iterator[Mirrored]:
    """One with the module `m`."""
    lab = Mirrored({"m": HEADER + textwrap.dedent(text)})
    yield lab
    lab.keeper.close()
