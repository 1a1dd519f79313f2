"""Touched subscriptions are found by the interval, and only those."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from convexlab.followers.subscriptions import Subscriptions, overlaps

KEYS = st.binary(max_size=2)
INDEXES = st.integers(1, 2)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[int, bytes, bytes | None]:
    index_id = draw(INDEXES)
    start = draw(KEYS)
    kind = draw(st.sampled_from(["point", "open", "range", "range"]))
    if kind == "point":
        return index_id, start, start + b"\0"
    return index_id, start, None if kind == "open" else draw(KEYS)


WRITES = st.lists(st.tuples(INDEXES, KEYS), max_size=12)


class SubscriptionsModel(RuleBasedStateMachine):
    """S1 and S2 against a dict and every comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions: Subscriptions[int] = Subscriptions()
        self.model: dict[int, list[tuple[int, bytes, bytes | None]]] = {}
        self.next = 0

    @rule(reads=st.lists(intervals(), max_size=6))
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

    @rule(keys=WRITES)
    def touched_is_what_comparing_all_would_say(self, keys):
        expected = {
            token
            for token, reads in self.model.items()
            for index_id, start, end in reads
            for i, key in keys
            if i == index_id and start <= key and (end is None or key < end)
        }
        assert self.subscriptions.touched(keys) == expected
        assert expected == {
            t for t, reads in self.model.items() if overlaps(reads, keys)
        }

    @invariant()
    def holds_together(self):
        self.subscriptions.check()
        assert len(self.subscriptions) == len(self.model)


TestSubscriptions = SubscriptionsModel.TestCase


def test_a_range_read_sees_rows_that_were_absent():
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add("q", [(7, b"a", b"c")])
    assert subscriptions.touched([(7, b"b")]) == {"q"}
    assert subscriptions.touched([(7, b"c"), (8, b"b")]) == set()


def test_removing_the_last_token_leaves_nothing():
    """S2."""
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add("q", [(7, b"a", None), (7, b"b", b"b\0")])
    subscriptions.remove("q")
    subscriptions.remove("q")
    assert subscriptions._indexes == {}


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=3), st.just(1)), max_size=300))
def test_a_large_write_is_turned_the_other_way(keys):
    subscriptions: Subscriptions[str] = Subscriptions()
    subscriptions.add("low", [(1, b"", b"\x40")])
    subscriptions.add("high", [(1, b"\x40", None)])
    touched = subscriptions.touched([(index_id, key) for key, index_id in keys])
    assert ("low" in touched) == any(key < b"\x40" for key, _ in keys)
    assert ("high" in touched) == any(key >= b"\x40" for key, _ in keys)


def test_the_cost_is_the_touched_ones():
    """Disjoint ranges: a write visits few nodes, not all of them."""
    subscriptions: Subscriptions[int] = Subscriptions()
    for number in range(4096):
        prefix = number.to_bytes(2)
        subscriptions.add(number, [(1, prefix, prefix + b"\xff")])
    treap = subscriptions._indexes[1]._ranges

    def depth(node):
        return 0 if node is None else 1 + max(depth(node.left), depth(node.right))

    assert depth(treap._root) < 60
    assert subscriptions.touched([(1, (77).to_bytes(2) + b"x")]) == {77}
