"""The link: what its thread leaves alone."""

from __future__ import annotations

import random
import threading

from convexlab_kernel.link import Link


class Nobody:
    """A listener whom nothing reaches."""

    def updated(self, update):
        pass

    def ended(self, error):
        pass


def test_a_seeded_notebook_gets_the_same_numbers_while_its_link_comes_back(monkeypatch):
    monkeypatch.setattr("convexlab_kernel.link.knobs.RECONNECT_SECONDS", 0)
    looked, tries = threading.Event(), []

    def nowhere():
        tries.append(1)
        if len(tries) == 20:
            looked.set()
        raise OSError

    random.seed(7)
    expected = random.getstate()
    link = Link(nowhere, identity=None, admin=False)
    link.follow("a:b", b"[{}]", Nobody())
    assert looked.wait(60)
    state = random.getstate()
    link.close()
    assert state == expected
