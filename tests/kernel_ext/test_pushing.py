from __future__ import annotations

from convexlab_kernel.pushing import concerning


def test_a_cell_is_warned_of_its_own_references_and_of_those_it_breaks() -> None:
    own = "a.py:3: `api.x.y` names no function yet: there is no `x:y`."
    broken = "b.py:1: `api.a.gone` names no function yet: there is no `a:gone`."
    elsewhere = "b.py:2: `api.x.y` names no function yet: there is no `x:y`."
    assert concerning("a", [own, broken, elsewhere]) == [own, broken]
    assert concerning("x", [own, broken, elsewhere]) == [own, elsewhere]
    assert concerning("c", [own, broken, elsewhere]) == []
