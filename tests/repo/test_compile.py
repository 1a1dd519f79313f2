"""The compiled engine: what the build hook makes of modules, and when it does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import hatch_build
import pytest
from hatch_build import COMPILER, BrowserFilesHook, compile_modules

ROOT = Path(__file__).parent.parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LISTED: list[str] = PYPROJECT["tool"]["hatch"]["build"]["hooks"]["custom"]["compiled"]


class App:
    def __init__(self) -> None:
        self.said: list[str] = []

    def display_warning(self, message: str) -> None:
        self.said.append(message)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser files are there: they are another test's."""
    monkeypatch.setattr(hatch_build, "is_fresh", lambda _: True)


def hook(root: Path, app: App, *, target: str = "wheel") -> BrowserFilesHook:
    config = {"compiled": ["convexlab/engine/view.py"]}
    made = BrowserFilesHook(str(root), config, None, None, "", target)  # type: ignore[arg-type]
    made._BuildHookInterface__app = app  # type: ignore[attr-defined]
    return made


def asked_for(hook: BrowserFilesHook, version: str = "standard") -> dict[str, Any]:
    data: dict[str, Any] = {"pure_python": True, "force_include": {}}
    hook.initialize(version, data)
    return data


def test_every_module_that_is_listed_is_there_once():
    assert len(set(LISTED)) == len(LISTED)
    for module in LISTED:
        assert (ROOT / "server" / module).is_file(), module


def test_nothing_that_is_listed_is_said_by_msgspec_in_a_way_of_its_own():
    """mypyc keeps of `bytes | None` no type by which msgspec could decode it, and of a
    struct's options none.
    """
    for module in LISTED:
        source = (ROOT / "server" / module).read_text(encoding="utf-8")
        for lost in ("NamedTuple)", "array_like=", "tag=", "rename=", "omit_defaults="):
            assert lost not in source, f"{module}: {lost}"


@pytest.mark.usefixtures("built")
def test_a_wheel_is_pure_unless_a_compiled_one_is_asked_for(monkeypatch, tmp_path):
    """An editable install and a source distribution are so in any case."""
    monkeypatch.setattr(hatch_build, "compile_modules", lambda *_: pytest.fail("asked"))
    monkeypatch.delenv("CONVEXLAB_COMPILE", raising=False)
    assert asked_for(hook(tmp_path, App()))["pure_python"]
    assert hook(tmp_path, App()).dependencies() == []
    monkeypatch.setenv("CONVEXLAB_COMPILE", "1")
    assert hook(tmp_path, App()).dependencies() == COMPILER
    assert asked_for(hook(tmp_path, App()), "editable")["pure_python"]
    assert asked_for(hook(tmp_path, App(), target="sdist"))["pure_python"]


@pytest.mark.usefixtures("built")
def test_a_build_that_fails_falls_back_only_if_it_may(monkeypatch, tmp_path):
    def refuse(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(hatch_build, "compile_modules", refuse)
    monkeypatch.setenv("CONVEXLAB_COMPILE", "1")
    with pytest.raises(RuntimeError, match="no compiler"):
        asked_for(hook(tmp_path, App()))
    monkeypatch.setenv("CONVEXLAB_COMPILE", "try")
    app = App()
    assert asked_for(hook(tmp_path, app))["pure_python"]
    assert app.said == [
        "The engine could not be compiled (no compiler): this wheel is pure Python."
    ]


@pytest.mark.usefixtures("built")
def test_what_is_compiled_goes_beside_its_source(monkeypatch, tmp_path):
    """And the wheel is one of its platform."""

    def compile_it(_: Path, modules: list[str], made: Path) -> None:
        file = made / modules[0].replace(".py", ".so")
        file.parent.mkdir(parents=True)
        file.touch()

    monkeypatch.setattr(hatch_build, "compile_modules", compile_it)
    monkeypatch.setenv("CONVEXLAB_COMPILE", "1")
    building = hook(tmp_path, App())
    data = asked_for(building)
    assert not data["pure_python"]
    assert data["infer_tag"]
    ((file, place),) = data["force_include"].items()
    assert place == "convexlab/engine/view.so"
    assert Path(file).is_file()
    building.finalize("standard", data, "")
    assert not Path(file).exists()


def compiler() -> str:
    return str(sysconfig.get_config_var("CC") or "cc").split()[0]


@pytest.mark.skipif(shutil.which(compiler()) is None, reason="no C compiler is here")
def test_two_modules_compiled_are_what_they_were(tmp_path):
    """One calls the other; sources lie beside, extension modules go first."""
    package = tmp_path / "pair"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "one.py").write_text("def twice(n: int) -> int:\n    return 2 * n\n")
    (package / "two.py").write_text(
        "from pair.one import twice\n\n\nclass Sum:\n    def __init__(self) -> None:\n"
        "        self.all = 0\n\n    def add(self, n: int) -> None:\n"
        "        self.all += twice(n)\n"
    )
    compile_modules(tmp_path, ["pair/one.py", "pair/two.py"], tmp_path)
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "from pair import one, two; s = two.Sum(); s.add(4); print(s.all, one.__file__)",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert said[0] == "8"
    assert not said[1].endswith(".py")


@pytest.mark.skipif(shutil.which(compiler()) is None, reason="no C compiler is here")
def test_what_cannot_be_compiled_is_said(tmp_path):
    """mypyc's own words, with file and line."""
    (tmp_path / "bad.py").write_text("class A(int):\n    pass\n")
    with pytest.raises(RuntimeError, match=r"bad\.py:1: error"):
        compile_modules(tmp_path, ["bad.py"], tmp_path)
