"""The imports of several cells as one module's."""

from __future__ import annotations

from convexlab_kernel.imports import merged, split_imports

CELL = '''"""What it is."""
from __future__ import annotations
import json
import numpy as np  # for its means
from convexlab import (
    query,
    mutation as change,
)
from .shared import x; y = x
if json:
    import re
é = 1; import os
z = """
import nothing
"""
'''


def test_plain_imports_are_taken_and_others_stay():
    split = split_imports(CELL)
    assert [(one.module, one.name, one.alias) for one in split.names] == [
        ("__future__", "annotations", None),
        ("json", None, None),
        ("convexlab", "query", None),
        ("convexlab", "mutation", "change"),
    ]
    for kept in ("# for its means", "; y = x", "    import re", "import os", "nothing"):
        assert kept in split.body
    assert [one.bound for one in split.names][-1] == "change"


def test_what_cells_import_is_said_once_in_order():
    names = []
    for source in (
        "from .shared import slug\nfrom convexlab import query, Doc\nimport os.path",
        "import json\nfrom convexlab import mutation, MutationCtx\nfrom __future__ import annotations",
        "import os\nfrom datetime import timedelta",
    ):
        names += split_imports(source).names
    assert merged(names) == (
        "from __future__ import annotations\n\n"
        "import json\nimport os\nimport os.path\nfrom datetime import timedelta\n\n"
        "from convexlab import Doc, MutationCtx, mutation, query\n\n"
        "from .shared import slug"
    )


def test_long_imports_have_a_line_a_name():
    many = [f"a_rather_long_name_{n}" for n in range(6)]
    said = merged(split_imports(f"from m import {', '.join(many)}").names)
    assert said.split("\n") == ["from m import (", *(f"    {n}," for n in many), ")"]


def test_submodules_of_one_package_bind_one_name():
    first, second, other = split_imports(
        "import a.b\nimport a.c\nimport a.b as a"
    ).names
    assert first.key == second.key
    assert first.bound == other.bound == "a"
    assert other.key != first.key
