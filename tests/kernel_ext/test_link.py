"""The link: what its thread leaves alone."""

from __future__ import annotations

import random
import subprocess
import sys
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


ENDS_MEANWHILE = """
import threading
from convexlab_kernel import link
from tests.kernel_ext.test_link import Nobody

tries = []

def nowhere():
    tries.append(1)
    raise OSError

def outlive_the_script():
    threading.main_thread().join()
    enough = len(tries) + 20
    while thread.is_alive() and len(tries) < enough:
        thread.join(0.01)

link.knobs.RECONNECT_SECONDS = link.knobs.RECONNECT_MOST_SECONDS = 0
link.Link(nowhere, identity=None, admin=False).follow("a:b", b"[{}]", Nobody())
(thread,) = (each for each in threading.enumerate() if each.name == "convexlab-link")
threading.Thread(target=outlive_the_script).start()
"""


def test_a_script_that_ends_while_its_link_comes_back_says_nothing():
    ran = subprocess.run(
        [sys.executable, "-c", ENDS_MEANWHILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
