"""The guide's page on limits says what the knobs and the errors say.

That each limit is where it is said to be is tested in `tests/functions/test_limits.py`
and beside what checks it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from convexlab import knobs

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "guide" / "limits.md"
_ROW: Final = re.compile(
    r"^\| (?P<what>[^|]+) \| (?P<value>[^|]+) \| (?:`(?P<said>[^|]+)` )?\| `(?P<knob>[A-Z_]+)` \|$",
    re.MULTILINE,
)

# What nobody meets: how the deployment bounds its own work and memory.
OUR_OWN: Final = {
    "MAX_CLAIMS",
    "MAX_CLIENT_MS",
    "MAX_CLOCK_RAISE_SECONDS",
    "MAX_DUE_ACTIONS",
    "MAX_PLAIN_RUNNERS",
    "MAX_RECORDED_FILTER_BYTES",
    "MAX_UNSENT_TRANSITIONS",
    "MAX_VERSIONS_BYTES",
}
# What a page of its own tells.
ELSEWHERE: Final = re.compile("MAX_(SEARCH|WORD)_|MAX_SQL_")

_BYTES: Final = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_SECONDS: Final = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))


class Row(NamedTuple):
    what: str
    value: str
    said: str | None
    knob: str


ROWS: Final = [
    Row(**found.groupdict()) for found in _ROW.finditer(PAGE.read_text("utf-8"))
]


def written(knob: str) -> str:
    """A knob's value as people read it."""
    value = getattr(knobs, knob)
    words = knob.split("_")
    units = _BYTES if "BYTES" in words else _SECONDS if "SECONDS" in words else ()
    for size, unit in units:
        if value >= size and value % size == 0:
            return f"{value / size:g} {unit}"
    return f"{value:,}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.knob}-{row.what}")
def test_a_limit_is_what_the_page_says(row: Row):
    assert row.value == written(row.knob)


def test_every_row_is_read():
    lines = PAGE.read_text("utf-8").splitlines()
    assert len(ROWS) == sum(line.endswith("` |") for line in lines)


def test_every_limit_is_on_the_page():
    names = {name for name in vars(knobs) if name.startswith(("MAX_", "MIN_VECTOR"))}
    missing = names - {row.knob for row in ROWS} - OUR_OWN
    assert {name for name in missing if not ELSEWHERE.match(name)} == set()
    assert names >= OUR_OWN


def test_what_is_said_is_said_by_the_code():
    files = (ROOT / "server" / "convexlab").rglob("*.py")
    code = "\n".join(file.read_text("utf-8") for file in files)
    assert [row.said for row in ROWS if row.said and row.said not in code] == []
