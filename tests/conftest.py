"""What all tests share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from tests.browser.chromium import RUNNING, take_pictures

if TYPE_CHECKING:
    from collections.abc import Generator

# An example that takes long on a busy machine has not failed. A check of one commit
# tries the same examples each time; whoever works on the code tries new ones.
settings.register_profile(
    "unhurried",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("unhurried")
# Each takes minutes: in a run of several processes nobody is to wait for one at the end.
LONGEST = (
    "tests/repo/test_benchmarks.py",
    "tests/compat/test_guide_apps.py",
    "tests/browser/test_sidebar.py",
    "tests/notebooks/test_notebooks.py",
    "tests/browser/test_live_output.py",
    "tests/browser/test_live_views.py",
)
_FIRST = {file: place for place, file in enumerate(LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: _FIRST.get(item.nodeid.split("::")[0], len(_FIRST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With the failure of a test that has a browser goes what its pages showed."""
    report = yield
    if report.failed and report.when != "teardown" and RUNNING:
        pictures = map(str, take_pictures(item.nodeid))
        report.sections.append(("pictures of the pages", "\n".join(pictures)))
    return report
