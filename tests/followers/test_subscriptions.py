"""Touched subscriptions are found by the interval and the filter, and only those."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.followers.reading import PLACES, VERSIONS, concerns, eq, reads

from convexlab.documents.encoding import to_stored
from convexlab.documents.expression import encode
from convexlab.engine.look import Read
from convexlab.engine.versions import Versions
from convexlab.followers.subscriptions import Subscriptions
from convexlab.followers.written import Written


class SubscriptionsModel(RuleBasedStateMachine):
    """S1 and S2 against a dict and every comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions: Subscriptions[int] = Subscriptions()
        self.model: dict[int, list[Read]] = {}
        self.next = 0

    @rule(reads=st.lists(reads(), max_size=6))
    def add(self, reads):
        self.next += 1
        self.model[self.next] = reads  # empty intervals among them
        self.subscriptions.add(self.next, reads)

    @rule(data=st.data())
    def remove(self, data):
        if self.model:
            token = data.draw(st.sampled_from(sorted(self.model)))
            del self.model[token]
            self.subscriptions.remove(token)

    @rule(keys=PLACES, versions=VERSIONS)
    def touched_is_what_comparing_all_would_say(self, keys, versions):
        expected = {
            token
            for token, reads in self.model.items()
            if any(concerns(read, keys, versions) for read in reads)
        }
        written = Written(keys, versions)
        assert self.subscriptions.touched(written) == expected
        assert expected == {
            t for t, reads in self.model.items() if written.touches(reads)
        }

    @invariant()
    def holds_together(self):
        self.subscriptions.check()
        assert len(self.subscriptions) == len(self.model)


TestSubscriptions = SubscriptionsModel.TestCase


def test_a_range_read_sees_rows_that_were_absent():
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add("q", [Read(7, b"a", b"c")])
    assert subscriptions.touched(Written([(7, b"b")])) == {"q"}
    assert subscriptions.touched(Written([(7, b"c"), (8, b"b")])) == set()


def test_removing_the_last_token_leaves_nothing():
    """S2."""
    subscriptions: Subscriptions[str] = Subscriptions()
    looks = [Read(7, b"a", None), Read(7, b"b", b"b\0"), filtered("ann")]
    subscriptions.add("q", looks)
    assert list(subscriptions.filtered_tables) == [1]
    subscriptions.remove("q")
    subscriptions.remove("q")
    assert subscriptions._indexes == {}
    assert not subscriptions.filtered_tables


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.just(1)), max_size=300))
def test_a_large_write_is_turned_the_other_way(keys):
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add("low", [Read(1, b"", b"\x40")])
    subscriptions.add("high", [Read(1, b"\x40", None)])
    places = [(index_id, key) for key, index_id in keys]
    touched = subscriptions.touched(Written(places))
    assert ("low" in touched) == any(key < b"\x40" for key, _ in keys)
    assert ("high" in touched) == any(key >= b"\x40" for key, _ in keys)


TASKS = 1 << 16  # by_id of table 1


def filtered(owner: str) -> Read:
    return Read(TASKS, b"", None, encode(eq("owner", owner)))


def task(key: bytes, old: str | None, new: str | None) -> Versions:
    """A task that changes hands."""
    place = ((TASKS, key),)
    return Versions(
        None if old is None else to_stored({"owner": old}),
        None if new is None else to_stored({"owner": new}),
        () if old is None else place,
        () if new is None else place,
    )


def test_a_thousand_filters_over_one_range_are_told_apart():
    subscriptions: Subscriptions[int] = Subscriptions()
    for number in range(1000):
        subscriptions.add(number, [filtered(f"user{number}")])
    handed_over = Written(versions=[task(b"k", "user7", "user8")])
    assert subscriptions.touched(handed_over) == {7, 8}
    assert (
        subscriptions.touched(Written(versions=[task(b"k", None, "nobody")])) == set()
    )
    assert subscriptions.touched(Written([(TASKS, b"k")])) == set(range(1000))
