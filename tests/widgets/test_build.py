"""The build of the browser files: when it runs, what it needs, what comes out."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import hatch_build
import pytest
from hatch_build import NODE_FROM_PYPI, BrowserFilesHook, digest, is_fresh, stamp
from tests.browser.files import LABEXTENSION, STATIC, build_browser_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def widgets(tmp_path: Path) -> Path:
    """A tree with sources and what was built from them."""
    root = tmp_path / "widgets"
    (root / "src").mkdir(parents=True)
    (root / "lab").mkdir()
    (root / "src" / "a.ts").write_text("1")
    (root / "build.mjs").write_text("2")
    built = root / "convexlab_widgets"
    (built / "static").mkdir(parents=True)
    (built / "labextension").mkdir()
    (built / "static" / "live.js").write_text("")
    (built / "labextension" / "package.json").write_text("{}")
    stamp(root).write_text(digest(root))
    return root


def hook(widgets: Path) -> BrowserFilesHook:
    return BrowserFilesHook(str(widgets.parent), {}, None, None, "", "wheel")  # type: ignore[arg-type]


@pytest.fixture
def no_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_what_is_built_is_fresh_until_a_source_changes(widgets: Path) -> None:
    """Contents and names count, times do not."""
    assert is_fresh(widgets)
    (widgets / "src" / "a.ts").touch()
    assert is_fresh(widgets)
    (widgets / "src" / "a.ts").write_text("3")
    assert not is_fresh(widgets)
    (widgets / "src" / "a.ts").write_text("1")
    (widgets / "src" / "a.ts").rename(widgets / "src" / "b.ts")
    assert not is_fresh(widgets)


def test_what_is_missing_is_not_fresh(widgets: Path) -> None:
    """A stamp alone is no build."""
    (widgets / "convexlab_widgets" / "static" / "live.js").unlink()
    assert not is_fresh(widgets)


@pytest.mark.usefixtures("no_node")
def test_node_comes_from_pypi_only_where_it_is_needed(widgets: Path) -> None:
    """Nothing to build: nothing asked for, as when installing a source distribution."""
    assert hook(widgets).dependencies() == []
    (widgets / "src" / "a.ts").write_text("3")
    assert hook(widgets).dependencies() == [NODE_FROM_PYPI]


@pytest.mark.usefixtures("no_node")
def test_a_build_without_node_says_what_to_do(widgets: Path) -> None:
    """With --no-build-isolation there is no Node from PyPI: the error names both ways."""
    (widgets / "src" / "a.ts").write_text("3")
    with pytest.raises(
        RuntimeError, match="Install Node 18 or newer, or build without"
    ):
        hook(widgets).initialize("standard", {})


def test_a_failing_build_shows_what_npm_said(
    widgets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command, the folder and its output: enough to mend it."""
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/false")
    with pytest.raises(RuntimeError, match=r"/bin/false ci .* failed in .*widgets"):
        hatch_build.build(widgets)


def test_cleaning_removes_what_was_built(widgets: Path) -> None:
    """Sources stay."""
    hook(widgets).clean(["standard"])
    assert not is_fresh(widgets)
    assert (widgets / "src" / "a.ts").is_file()


def test_the_labextension_is_one_that_jupyterlab_finds() -> None:
    """Its manifest names a container that registers under the extension's name."""
    build_browser_files()
    manifest = json.loads((LABEXTENSION / "package.json").read_text())
    assert manifest["name"] == "convexlab"
    assert manifest["jupyterlab"]["extension"] is True
    entry = (LABEXTENSION / manifest["jupyterlab"]["_build"]["load"]).read_text()
    assert "_JUPYTERLAB" in entry
    core = (STATIC / "live.js").read_text()
    assert len(core) < 150_000
    assert len(entry) < 150_000 + 75_000, "the core and the sidebar"
    assert core.rstrip().endswith(";")
