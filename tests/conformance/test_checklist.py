"""Every point of the protocol's conformance list has a test that is named for it."""

from __future__ import annotations

import re
from pathlib import Path

POINTS = set(range(1, 61))


def test_every_point_has_a_test():
    here = Path(__file__).parent
    text = "\n".join(file.read_text() for file in here.glob("test_*.py"))
    named = {int(number) for number in re.findall(r"def test_point_(\d\d)_", text)}
    assert named == POINTS
