"""A selection kept from search to search is the one that every slot looked at gives."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest
from hypothesis import given, settings, strategies as st

from convexlab import knobs
from convexlab.followers.vector.selecting import Journal, Selections, select
from convexlab.followers.versions import Versions

LISTS = 5
FILTERS: list[Any] = [None, ((0, b"a"),), ((0, b"a"), (1, b"x")), ()]


class Kept:
    """Versions with a selection of them, and lists to which slots belong anyhow."""

    count = LISTS
    size = 0  # so little that nothing is worth copying

    def __init__(self) -> None:
        self.versions = Versions(2)
        self.selections = Selections()
        self.homes = np.arange(1000, dtype=np.int32) % LISTS
        self.sizes = np.bincount(self.homes, minlength=LISTS)
        self.ts = 0

    def put(self, number: int, keys: tuple[bytes, bytes] | None) -> None:
        id_ = number.to_bytes(16, "big")
        self.ts += 1
        slot = self.versions.slot_of.get(id_)
        if slot is not None:
            self.versions.end(id_, self.ts)
            self.selections.journal.note(slot, self.ts, begins=False)
        if keys is not None:
            slot = self.versions.begin(id_, self.ts, 0, keys)
            self.selections.journal.note(slot, self.ts, begins=True)

    def release(self) -> None:
        ended = self.versions.ended_by(self.ts)
        if len(ended):
            self.versions.release(ended)
            self.selections.forget()

    def check(self, ts: int | None = None) -> None:
        for filters in FILTERS:
            if ts is None:
                mask = self.versions.current()
                found = self.selections.now(filters, self.versions, self)
            else:
                mask = self.versions.as_of(ts)
                found = self.selections.as_of(filters, ts, self.versions, self)
            if filters is not None:
                mask = mask & self.versions.having(filters)
            expected = select(mask, self, 0)
            bits = found.bits[: len(expected.bits)]
            assert (bits == expected.bits).all(), filters
            assert not found.bits[len(expected.bits) :].any()
            assert (found.members == expected.members).all(), filters
            assert found.count == expected.count


_keys = st.tuples(st.sampled_from([b"a", b"b"]), st.sampled_from([b"x", b"y"]))
_steps = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 15), st.none() | _keys),
        st.sampled_from(["look", "back", "release"]),
    ),
    max_size=80,
)


@settings(deadline=None, max_examples=100)
@given(steps=_steps, room=st.sampled_from([4, 64]))
def test_what_changed_is_all_that_is_looked_at(steps: list[Any], room: int):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knobs, "VECTOR_JOURNAL_ROWS", room)
        kept, oldest = Kept(), 0
        for step in steps:
            if step == "look":
                kept.check()
            elif step == "release":
                kept.release()
                oldest = kept.ts
            elif step == "back":
                kept.check(max(oldest, kept.ts - 3))
            else:
                kept.put(*step)
        kept.check()


def test_what_has_grown_much_is_selected_anew():
    """How it is spread over the lists may be another."""
    kept = Kept()

    def ask() -> Any:
        return kept.selections.now(((0, b"a"),), kept.versions, kept)

    first = ask()
    for number in range(100):
        kept.put(number, (b"a", b"x"))
    assert ask() is first
    assert first.unevenness == 0.0
    for number in range(100, 250):
        kept.put(number, (b"a", b"x"))
    again = ask()
    assert (again is not first, again.made_of) == (True, 250)


def test_only_the_filters_used_lately_are_kept(monkeypatch: pytest.MonkeyPatch):
    kept = Kept()
    kept.put(1, (b"a", b"x"))
    each = kept.selections.now((), kept.versions, kept).bytes
    monkeypatch.setattr(knobs, "VECTOR_SELECTIONS_BYTES", 2 * each)
    one, other, third = (((0, key),) for key in (b"a", b"b", b"c"))

    def ask(filters: Any) -> Any:
        return kept.selections.now(filters, kept.versions, kept)

    first = ask(one)
    ask(other)
    assert ask(one) is first
    ask(third)
    assert ask(one) is first
    assert set(kept.selections._kept) == {one, third}


def test_a_journal_says_when_it_has_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "VECTOR_JOURNAL_ROWS", 4)
    journal = Journal()
    for n in range(5):
        journal.note(n % 3, 10 + n, begins=n % 2 == 0)
    assert journal.end == 5
    assert journal.since(1) is None
    assert journal.since(2) is not None
    assert journal.since(4).tolist() == [1]  # type: ignore[union-attr]  # it knows
    assert journal.begun_since(2).tolist() == [2, 1]
    assert journal.after(10) is None
    assert journal.after(12).tolist() == [0, 1]  # type: ignore[union-attr]  # it knows
    journal.begin(14)
    assert journal.after(13) is None
