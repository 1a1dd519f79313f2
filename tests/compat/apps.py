"""The guide's apps, built: the files of a page in a folder of their own, once.

    docs/guide/clients/react.md ─▶ build/react/{src/App.tsx, …} ─▶ build/react/dist

A digest of all that goes in lies beside what came out; as long as it holds, nothing
is built again. What is built has the addresses of the page in it: the `Site` that
serves it puts in those of the deployment that it is to meet.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.compat.pages import Addresses, files_of, write

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
BUILD = HERE / "build"
PACKAGES = HERE / "node_modules"
BIN = PACKAGES / ".bin"
BUILD_SECONDS = 170
TYPES = "_generated"

STRICT = {
    "strict": True,
    "noEmit": True,
    "jsx": "react-jsx",
    "module": "esnext",
    "moduleResolution": "bundler",
    "target": "es2022",
    "lib": ["es2023", "dom", "dom.iterable"],
    "skipLibCheck": True,
}
VITE_CHECKED = {**STRICT, "types": ["vite/client"]}


@dataclass(frozen=True, eq=False)
class App:
    """How the app of one page is made.

    Args:
        page: its name.
        commands: build it, after its files were written.
        borrows: files that it takes from other pages: path and page.
        options: the TypeScript compiler's, where the page leaves them to a template.
        dist: where the built files are; empty if there are none.
        first: a command that makes what the page's files go into.
    """

    page: str
    commands: tuple[tuple[str, ...], ...]
    borrows: dict[str, str] = field(default_factory=dict)
    options: dict[str, object] | None = None
    dist: str = "dist"
    first: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where it is built: below the packages that it imports."""
        return BUILD / self.page

    def files(self) -> dict[str, str]:
        """What a reader has after copying."""
        borrowed = {path: files_of(page)[path] for path, page in self.borrows.items()}
        options = {"compilerOptions": self.options, "include": ["**/*"]}
        config = {"tsconfig.json": json.dumps(options)} if self.options else {}
        return {**config, **borrowed, **files_of(self.page)}


VITE = ("vite", "build", "--logLevel", "warn")
REACT = ("vite.config.ts", "index.html", ".env.local", "src/session.tsx")
APPS = {
    app.page: app
    for app in (
        App("javascript", (("tsc",), VITE), options=VITE_CHECKED),
        App("react", (("tsc",), VITE), options=VITE_CHECKED),
        App(
            "tanstack",
            (("tsc",), VITE),
            options=VITE_CHECKED,
            borrows=dict.fromkeys(REACT, "react"),
        ),
        App("vue", (("vue-tsc",), VITE), options=VITE_CHECKED),
        App(
            "svelte",
            (("svelte-check", "--fail-on-warnings", "--output", "machine"), VITE),
            options=VITE_CHECKED,
        ),
        App(
            "angular",
            (("ng", "build", "--configuration", "development"),),
            first=(
                *("ng", "new", "tasks", "--minimal", "--routing=false", "--defaults"),
                *("--directory", ".", "--skip-install", "--skip-git"),
            ),
            dist="dist/tasks/browser",
        ),
        App("react-native", (("tsc",),), options={**STRICT, "types": ["node"]}),
        App("nextjs", (("next", "build"),), options={"strict": True}, dist=".next"),
    )
}


def built(app: App, functions: Path) -> Path:
    """Build an app that calls these functions, unless that is done; its folder."""
    require_packages()
    folder, stamp = app.folder, app.folder.with_suffix(".sha256")
    digest = _digest(app, functions)
    with _alone(folder):
        if not (stamp.is_file() and stamp.read_text() == digest):
            stamp.unlink(missing_ok=True)
            _build(app, functions)
            stamp.write_text(digest)
    return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder: tests of several processes want the same app built."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(app: App, functions: Path) -> None:
    folder = app.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if app.first:
        run(app.first, folder)
    shutil.copytree(functions / TYPES, folder / "convex" / TYPES)
    write(app.files(), folder, Addresses())
    for command in app.commands:
        run(command, folder)


def run(command: tuple[str, ...], folder: Path, **variables: str) -> str:
    """Run a tool of the packages; what it said is shown if it fails."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=folder,
        env=environment(**variables),
        timeout=BUILD_SECONDS,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(command)} in {folder}:\n{said}"
    return said


def environment(**more: str) -> dict[str, str]:
    """For tools: the packages' own Node first, and nobody is told of this."""
    quiet = {"NG_CLI_ANALYTICS": "false", "NEXT_TELEMETRY_DISABLED": "1", "CI": "1"}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NODE_NO_WARNINGS": "1", **quiet, **more}


def require_packages() -> None:
    """Skip where the packages were not installed."""
    if not (PACKAGES / ".ready").is_file():
        pytest.skip("run `make deps-node` first")


def _digest(app: App, functions: Path) -> str:
    whole = hashlib.sha256((HERE / "package-lock.json").read_bytes())
    whole.update(repr((app, sorted(app.files().items()))).encode())
    for file in sorted((functions / TYPES).iterdir()):
        whole.update(f"{file.name}\n".encode() + file.read_bytes())
    return whole.hexdigest()
