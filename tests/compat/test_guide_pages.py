"""The pages about clients name what is tested, and all of it."""

from __future__ import annotations

import importlib.metadata
import json
import re

import pytest
from tests.compat.apps import APPS, HERE
from tests.compat.pages import CONVEX_URL, GUIDE, files_of

PINNED: dict[str, str] = json.loads((HERE / "package.json").read_text())["dependencies"]
ROW = re.compile(
    r"^\| \[[\w. ]+\]\((?P<page>[\w-]+)\.md\) \|.*\| (?P<tested>.+) \|$", re.MULTILINE
)
INSTALL = re.compile(r"^npm install (?:--save-dev )?(.+)$", re.MULTILINE)

PAGES = sorted(page.stem for page in GUIDE.glob("*.md") if page.stem != "index")


def text_of(page: str) -> str:
    return (GUIDE / f"{page}.md").read_text(encoding="utf-8")


ROWS = {row["page"]: row["tested"] for row in ROW.finditer(text_of("index"))}


def test_the_first_page_leads_to_all_others():
    assert sorted(ROWS) == PAGES


@pytest.mark.parametrize("page", PAGES)
def test_versions_are_those_that_are_tested(page):
    """What the first page says was tested is what the tests install."""
    installed = {**PINNED, "convex": importlib.metadata.version("convex")}
    tested = installed if page == "python" else PINNED
    for package in ROWS[page].split(", "):
        name, version = package.rsplit(" ", 1)
        assert tested[name] == version


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_installs_is_what_its_app_is_built_with(page):
    names = " ".join(INSTALL.findall(text_of(page))).split()
    assert [name for name in names if name not in PINNED] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_an_app_at_the_address_of_the_first_page(page):
    """Its files are found, and the address that tests put another for is there."""
    files = APPS[page].files() if page in APPS else files_of(page)
    assert files
    assert any(CONVEX_URL in text for text in [*files.values(), text_of(page)])


def test_files_are_read_as_they_stand_on_the_page():
    """The comment with the name is part of the file, and nothing else is added."""
    for path, text in files_of("react").items():
        assert f"\n{text}```" in text_of("react"), path
