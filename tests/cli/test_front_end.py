"""A front end is compiled with the types of functions and tables of every kind."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.deployments import deployment

from convexlab.cli.main import main

HERE = Path(__file__).parent / "front_end"
PACKAGES = Path(__file__).parents[1] / "compat" / "node_modules"
# The strictest that projects choose; what compiles so compiles with less, too.
OPTIONS = {
    "strict": True,
    "noEmit": True,
    "skipLibCheck": False,
    "target": "es2022",
    "lib": ["es2022", "dom"],
    "jsx": "react-jsx",
    "types": [],
    "module": "esnext",
    "moduleResolution": "bundler",
    "verbatimModuleSyntax": True,
    "isolatedModules": True,
    "noUncheckedIndexedAccess": True,
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The front end beside its functions, which are deployed, with the types."""
    folder = tmp_path_factory.mktemp("front_end")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    sources = {
        str(file.relative_to(folder / "convex").with_suffix("")): file.read_text()
        for file in (folder / "convex").rglob("*.py")
    }
    with deployment(folder / "deployment", sources) as running:
        where = ("--url", running.url, "--admin-key", running.admin_key)
        said = CliRunner().invoke(main, ["codegen", str(folder / "convex"), *where])
        assert said.exit_code == 0, said.output
    return folder


@pytest.mark.node
def test_what_is_right_compiles_and_what_is_wrong_does_not(project):
    compiler = PACKAGES / ".bin" / "tsc"
    if not compiler.exists():
        pytest.skip("run `npm ci` in tests/compat first")
    link = project / "node_modules"
    if not link.exists():
        link.symlink_to(PACKAGES)
    config = {"compilerOptions": OPTIONS, "files": ["app.tsx"]}
    (project / "tsconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [compiler, "-p", project, "--pretty", "false"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [
        line
        for line in done.stdout.splitlines()
        if line.startswith(("app.tsx", "convex/"))
    ]
    assert ours == []
    assert not done.stderr


def test_the_generated_files_name_what_clients_call(project):
    text = (project / "convex" / "_generated" / "api.d.ts").read_text()
    public, _, internal = text.partition("export declare const internal")
    assert "   * Write a post." in public
    for name in ("hook", "sweep", "count:"):
        assert name not in public
    assert "sweep: FunctionReference<" in internal
