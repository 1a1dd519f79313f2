"""Groups bring the documents of tables that are followed through filters, no others."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from convexlab import knobs
from convexlab.sync.interest import Interest


@pytest.fixture
def asked():
    return []


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


@pytest.fixture
def interest(asked, clock):
    backend = SimpleNamespace(show_versions=lambda tables: asked.append(set(tables)))
    return Interest(backend, lambda: clock.now)


def test_a_table_is_asked_for_when_it_is_first_followed(interest, asked):
    interest.follow({1})
    interest.follow({1})
    interest.follow({1, 2})
    interest.follow(set())
    assert asked == [{1}, {1, 2}]


def test_a_table_is_given_up_some_time_after_it_was_last_followed(
    interest, asked, clock
):
    interest.look(set())
    interest.follow({1, 2})
    clock.now = knobs.VERSIONS_SHOWN_SECONDS
    interest.look({1})
    assert asked == [{1, 2}]
    clock.now += 1
    interest.look({1})
    assert asked[1:] == [{1}]
    clock.now += knobs.VERSIONS_SHOWN_SECONDS + 1
    interest.look({1})
    interest.look(set())
    assert asked[2:] == []
