"""Work is matched whole: whoever holds a session does every kind of it."""

from __future__ import annotations

import ast
import inspect
from typing import get_args

from convexlab.sync import gateway, work


def test_the_gateway_names_every_kind_of_work():
    tree = ast.parse(inspect.getsource(gateway))
    named = {
        node.cls.id
        for node in ast.walk(tree)
        if isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name)
    }
    assert {kind.__name__ for kind in get_args(work.Work)} <= named
