"""The guide's React Native app: type-checked, and run on React Native's components."""

from __future__ import annotations

import json
import shutil

import pytest
from tests.compat.apps import APPS, BUILD, HERE, built, run

pytestmark = pytest.mark.node

TESTS = "react_native.test.tsx"
BABEL = {"presets": ["module:@react-native/babel-preset"]}
JEST = {"preset": "@react-native/jest-preset", "cacheDirectory": str(BUILD / "jest")}


@pytest.mark.parametrize("backend", ["secret", "open"], indirect=True)
def test_react_native_shows_writes_loads_and_signs_in(backend):
    """Its journey is `react_native.test.tsx`."""
    backend.begin("one", messages=7)
    folder = built(APPS["react-native"], backend.functions)
    shutil.copy(HERE / TESTS, folder)
    (folder / "babel.config.json").write_text(json.dumps(BABEL))
    (folder / "jest.config.json").write_text(json.dumps(JEST))
    addresses = {
        "EXPO_PUBLIC_CONVEX_URL": backend.addresses.convex,
        "EXPO_PUBLIC_SIGN_IN_URL": backend.addresses.sign_in,
    }
    said = run(("jest", "--ci", "--runInBand"), folder, **addresses)
    assert "5 passed" in said, said
