"""A virtual environment with nothing of ours but the wheel, on a machine without Node.

What we depend on is not installed again: it is linked from where the tests' own is.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).parents[2]
OURS = "convexlab"


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment, empty until something is installed."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def variables(self) -> dict[str, str]:
        """What its programs find: no Node, and nothing else of the machine's."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
        return {**kept, "PATH": str(self.folder / "bin"), "JUPYTER_PLATFORM_DIRS": "0"}

    @property
    def files(self) -> set[Path]:
        """All files in it, but for those that Python compiles as it goes."""
        return {
            Path(folder, name)
            for folder, _, files in os.walk(self.folder)
            for name in files
            if not name.endswith(".pyc")
        }

    def make(self) -> None:
        """Make it, with what we depend on."""
        self._run(sys.executable, "-m", "venv", "--without-pip", str(self.folder))
        linked = self.folder / "linked"
        linked.mkdir()
        for one in Path(sysconfig.get_path("purelib")).iterdir():
            if one.suffix != ".pth" and OURS not in one.name:
                (linked / one.name).symlink_to(one)
        (site,) = self.folder.glob("lib/python*/site-packages")
        (site / "linked.pth").write_text(f"{linked}\n")
        share = self.folder / "share" / "jupyter"
        share.mkdir(parents=True)
        for name in ("lab", "nbconvert"):
            (share / name).symlink_to(Path(sys.prefix, "share", "jupyter", name))

    def install(self, wheel: Path) -> None:
        """Install a wheel."""
        quietly = ("--quiet", "--no-index", "--no-deps", "--no-compile")
        self.run("-m", "pip", "install", *quietly, str(wheel))

    def uninstall(self) -> None:
        """Uninstall what was installed."""
        self.run("-m", "pip", "uninstall", "--quiet", "--yes", OURS)

    def run(self, *arguments: str) -> str:
        """What its Python says, errors and all."""
        return self._run(str(self.python), *arguments)

    def _run(self, *command: str) -> str:
        ran = subprocess.run(
            command,
            cwd=self.folder.parent,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        return ran.stdout


def build_wheel(folder: Path) -> Path:
    """The wheel of this tree; its browser files are built already, so it needs no Node."""
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    environment = {**os.environ, "PATH": str(folder)}
    subprocess.run(command, cwd=TREE, env=environment, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel
