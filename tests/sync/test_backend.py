"""What the seam promises to those on either side of it."""

from __future__ import annotations

from convexlab.sync.backend import ANONYMOUS, Caller, MutationCall, Published, QueryCall


def test_two_runs_of_one_mutation_are_two():
    """A client may ask again while its first call still waits."""
    calls = [MutationCall("s:0", "m:f", b"{}") for _ in range(2)]
    assert len(set(calls)) == 2


def test_nobody_is_the_default():
    assert QueryCall("m:f", b"{}", 1).caller == ANONYMOUS == Caller(None, admin=False)


def test_a_group_may_hold_nothing():
    assert Published(1, 1).keys == ()
