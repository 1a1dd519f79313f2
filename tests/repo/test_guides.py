"""The guides that show functions are true: their blocks run, one after another.

A block that begins with `# convex/NAME.py` is that module; any other one runs against
a deployment of the modules so far, which it knows as `t`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from convexlab.testing import Deployment, deployment

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
PAGES = [
    "actions.md",
    "determinism.md",
    "functions.md",
    "http-actions.md",
    "scheduling.md",
    "schema.md",
    "search.md",
    "vector_search.md",
]
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MODULE = re.compile(r"# convex/([\w/]+)\.py")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_guide_runs(page: str) -> None:
    modules: dict[str, str] = {}
    t: Deployment = deployment({})
    names = {"t": t, "__name__": "guide"}
    count = 0
    for info, block in BLOCK.findall((GUIDE / page).read_text(encoding="utf-8")):
        if "notest" in info:
            continue
        count += 1
        module = MODULE.match(block)
        if module is None:
            code = compile(block, f"{page}, block {count}", "exec", dont_inherit=True)
            exec(code, names)
            continue
        modules[module[1]] = block
        t.push(modules)
    assert count >= 5
