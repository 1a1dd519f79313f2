from __future__ import annotations

import pytest
from tests.functions.in_process.noting import FUNCTIONS, START

from convexlab.testing import Deployment, deployment


@pytest.fixture
def t() -> Deployment:
    return deployment({"m": FUNCTIONS}, now=START)
