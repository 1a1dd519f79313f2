"""A deployment's own process; what it serves is seen in the journeys."""

from __future__ import annotations

import resource

import pytest

from convexlab import knobs
from convexlab.serving import allow_many_sockets


@pytest.fixture
def open_files():
    """How many files may be open, and at most; as before afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_as_many_sockets_may_be_open_as_the_system_lets_us(open_files, monkeypatch):
    _, most = open_files
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    monkeypatch.setattr(knobs, "OPEN_FILES", 300)
    allow_many_sockets()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, most)
    monkeypatch.setattr(knobs, "OPEN_FILES", 299)
    allow_many_sockets()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, most), "never fewer"
