"""Pages that are followed while rows come and go, as npm's paginated client does it.

Each page is asked again with its journal or its `endCursor`, is split where it says
so, and together they are always the beginning of everything: no row is missing
between two of them, and none is in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.functions.lab import NOW_MS, Lab, lab_of
from tests.functions.test_pages import SOURCE

from convexlab.documents.encoding import from_wire, to_wire
from convexlab.engine.limits import Limits
from convexlab.functions import runner

MOST_ROWS = 6  # that one page may read
documents = st.fixed_dictionaries({"a": st.integers(0, 4), "b": st.integers(0, 4)})


@dataclass
class Page:
    """One of the pages that a client follows."""

    cursor: str | None
    size: int
    end: str | None = None  # where it was split
    journal: str | None = None

    def args(self) -> dict[str, Any]:
        opts: dict[str, Any] = {"cursor": self.cursor, "numItems": self.size}
        return opts if self.end is None else {**opts, "endCursor": self.end}


class Following(RuleBasedStateMachine):
    """A table that changes, and a client that follows its pages."""

    @initialize(
        source=st.sampled_from(["table", "index", "union", "sorted"]),
        order=st.sampled_from(["asc", "desc"]),
        filtered=st.booleans(),
        rows=st.lists(documents, max_size=30),
        size=st.integers(1, 5),
    )
    def open(
        self, source: str, order: str, filtered: bool, rows: list[Any], size: int
    ) -> None:
        self.how = {"source": source, "order": order, "filtered": filtered}
        self.lab: Lab = lab_of(SOURCE)
        self.lab.index("t", "by_a", "a")
        self.ids: list[str] = self.lab.insert("t", *rows)
        # In memory everything is read to be sorted, so that no limit can be met.
        self.limits = Limits(documents_read=1000 if source == "sorted" else MOST_ROWS)
        self.pages = [Page(None, size)]

    # -- the table ----------------------------------------------------------------

    @rule(rows=st.lists(documents, min_size=1, max_size=6))
    def insert(self, rows: list[Any]) -> None:
        self.ids += self.lab.insert("t", *rows)

    @rule(data=st.data())
    @precondition(lambda self: self.ids)
    def delete(self, data: st.DataObject) -> None:
        gone = data.draw(st.sets(st.sampled_from(self.ids), min_size=1, max_size=5))
        self._write(lambda tx: [tx.delete(document) for document in sorted(gone)])
        self.ids = [document for document in self.ids if document not in gone]

    @rule(data=st.data(), a=st.integers(0, 4), b=st.integers(0, 4))
    @precondition(lambda self: self.ids)
    def move(self, data: st.DataObject, a: int, b: int) -> None:
        moved = data.draw(st.sampled_from(self.ids))
        self._write(lambda tx: tx.patch(moved, {"a": a, "b": b}))

    def _write(self, change: Any) -> None:
        tx = self.lab.committer.begin()
        change(tx)
        self.lab.committer.accept(tx.finish())

    # -- the client -----------------------------------------------------------------

    def _ask(self, page: Page) -> dict[str, Any]:
        tx = self.lab.committer.begin(writable=False, limits=self.limits)
        outcome = runner.run(
            self.lab.modules,
            "m:page",
            to_wire({"how": self.how, "opts": page.args()}),
            tx,
            kind="query",
            seed=b"s" * 32,
            now_ms=NOW_MS,
            journal=page.journal,
            secret=b"secret",
        )
        assert outcome.error is None, outcome.error
        assert outcome.value is not None
        assert page.journal in (None, outcome.journal)
        page.journal = outcome.journal
        found: Any = from_wire(outcome.value)
        return dict(found)

    def _split(self, at: int, found: dict[str, Any]) -> None:
        page, middle = self.pages[at], found["splitCursor"]
        self.pages[at : at + 1] = [
            Page(page.cursor, page.size, middle),
            Page(middle, page.size, found["continueCursor"]),
        ]

    def _shown(self) -> list[dict[str, Any]]:
        """All pages as they are now, split as far as they have to be."""
        found, at = [], 0
        while at < len(self.pages):
            result = self._ask(self.pages[at])
            if result["pageStatus"] == "SplitRequired" and self._is_whole(at, result):
                self._split(at, result)
                continue
            found.append(result)
            at += 1
        return found

    def _is_whole(self, at: int, result: dict[str, Any]) -> bool:
        """Whether others rely on where the page ends, so that a part of it is not enough."""
        page = self.pages[at]
        is_known = page.end is not None or len(self.pages) > at + 1 or result["isDone"]
        return is_known and result["splitCursor"] is not None

    @rule(size=st.integers(1, 5))
    def load_more(self, size: int) -> None:
        last = self._shown()[-1]
        if not last["isDone"]:
            self.pages.append(Page(last["continueCursor"], size))

    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        found = self._shown()
        at = data.draw(st.integers(0, len(found) - 1))
        if found[at]["splitCursor"] is not None:
            self._split(at, found[at])

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        """Another client, which knows where each page ends and has no journal."""
        for page, found in zip(self.pages, self._shown(), strict=True):
            page.end, page.journal = found["continueCursor"], None

    @invariant()
    def pages_are_the_beginning_of_everything(self) -> None:
        found = self._shown()
        ids = [row["_id"] for result in found for row in result["page"]]
        everything = [
            row["_id"] for row in self.lab.query("m:everything", how=self.how)
        ]
        assert ids == everything[: len(ids)]
        if found[-1]["isDone"]:
            assert ids == everything
        for before, after in zip(found, self.pages[1:], strict=False):
            assert before["continueCursor"] == after.cursor


def test_followed_pages_have_no_gaps_and_no_overlaps() -> None:
    run_state_machine_as_test(
        Following,
        settings=settings(
            max_examples=60,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
