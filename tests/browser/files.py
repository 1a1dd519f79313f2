"""What the page loads, built from the sources in the tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from hatch_build import build, digest, has_node, is_fresh, stamp

TREE = Path(__file__).parents[2]
WIDGETS = TREE / "widgets"
STATIC = WIDGETS / "convexlab_widgets" / "static"
LABEXTENSION = WIDGETS / "convexlab_widgets" / "labextension"


def build_browser_files() -> None:
    """Build them if they are older than their sources; skip where that cannot be."""
    if is_fresh(WIDGETS):
        return
    if not has_node():
        pytest.skip(
            "the browser files are older than their sources, and there is no Node"
        )
    build(WIDGETS)
    stamp(WIDGETS).write_text(digest(WIDGETS), encoding="utf-8")
