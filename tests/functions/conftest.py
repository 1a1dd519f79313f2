"""What all tests of functions need: no deadline, and no modules left behind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# The machine may be busy: how long an example takes says nothing.
settings.register_profile("no deadline", deadline=None, max_examples=60)
settings.load_profile("no deadline")


@pytest.fixture(autouse=True)
def _process_modules_stay() -> Iterator[None]:
    """Modules of one test are not there for the next."""
    yield
    for name in [name for name in sys.modules if name.startswith("convex_modules.")]:
        del sys.modules[name]
