"""The TypeScript core, by its own tests and its own compiler."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from tests.browser.files import WIDGETS

pytestmark = pytest.mark.node


@pytest.mark.parametrize("script", ["check", "test"])
def test_the_typescript_passes(script: str) -> None:
    """`npm run check` (tsc, strict) and `npm test` (Node's own test runner)."""
    npm = shutil.which("npm")
    if npm is None or not (WIDGETS / "node_modules" / "typescript").is_dir():
        pytest.skip("npm or the packages of widgets/ are not here (npm ci)")
    run = subprocess.run(
        [npm, "run", "--silent", script],
        cwd=WIDGETS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
