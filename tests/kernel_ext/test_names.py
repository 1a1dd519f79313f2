"""Names that a module uses and does not bind."""

from __future__ import annotations

import pytest

from convexlab_kernel.client import Database
from convexlab_kernel.names import bound, explained_error, unbound

MODULE = """from __future__ import annotations
import os.path
from convexlab import query

@query
def f(ctx, n: int = LIMIT) -> list[int]:
    global made
    made = 1
    return [threshold for x in range(n) if os.path and made and f and x]

class A:
    z = later
    def m(self):
        return __file__, __name__, self

try:
    import fast
except ImportError as error:
    fast = error
match f:
    case {"a": b}:
        print(b, (w := 3), w)
"""


def test_what_a_module_uses_and_has_not_is_named_with_its_line():
    found = [(one.name, one.line) for one in unbound(MODULE)]
    assert found == [("LIMIT", 6), ("threshold", 9), ("later", 12)]


def test_a_parameter_or_a_local_of_that_name_is_no_use_of_it():
    assert unbound("def f(a):\n    b = a\n    return [b for c in b if c]\n") == []


@pytest.mark.parametrize("source", ["from x import *\ny\n", "def f(:\n", "a\0b"])
def test_of_what_cannot_be_known_nothing_is_said(source):
    assert unbound(source) == []


def test_what_a_module_binds_is_what_others_may_import():
    assert {"f", "A", "made", "os", "query", "fast", "b", "w"} <= bound(MODULE)
    assert not {"x", "n", "ctx", "z", "m", "LIMIT"} & bound(MODULE)


def test_a_name_that_the_notebook_has_is_explained():
    message = "NameError: name 'limit' is not defined"
    assert "pass it as an argument" in explained_error(message, {"limit": 1})
    assert "import it, or define it," in explained_error(message, {"limit": len})
    database = Database.__new__(Database)
    assert "the database is `ctx.db`" in explained_error(message, {"limit": database})
    assert explained_error(message, {}) is None
    assert explained_error("ValueError: name 'limit'", {"limit": 1}) is None
