"""The guide's Python script, with PyPI's client in it."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.compat.apps import BIN, require_packages
from tests.compat.backend import token
from tests.compat.pages import files_of
from tests.compat.proxy import cutting

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compat.backend import Backend

SIGNED_IN = """
import os
from convex import ConvexClient

client = ConvexClient(os.environ["CONVEX_URL"])
client.set_auth(os.environ["TOKEN"])
sent = 0
while sent < 40:
    try:
        client.mutation("chat:send", {"body": f"{sent}"})
    except Exception as error:
        assert str(error) == "channel closed", error
    else:
        sent += 1
"""
at_each_address = pytest.mark.parametrize("backend", ["secret", "open"], indirect=True)


class Script:
    """A script of a page, in a folder of its own."""

    def __init__(self, backend: Backend, folder: Path) -> None:
        (folder / "tasks.py").write_text(files_of("python")["tasks.py"])
        running = backend.running
        secret = f"/?c={running.secret}" if running.secret else ""
        self._where = {
            "CONVEX_URL": f"{running.url}{secret}",
            "SIGN_IN_URL": backend.addresses.sign_in,
        }
        self._folder = folder

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`python tasks.py …`."""
        return subprocess.Popen(
            [sys.executable, "tasks.py", *words],
            cwd=self._folder,
            env=self._where,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> str:
        """What it prints."""
        with self.start(*words) as process:
            said, problem = process.communicate()
        assert process.returncode == 0, problem
        return said

    def fail(self, *words: str) -> str:
        """What it says when it does not go well."""
        with self.start(*words) as process:
            said, problem = process.communicate()
        assert process.returncode == 1, said
        return problem.strip()


@pytest.fixture
def script(backend: Backend, tmp_path: Path) -> Script:
    return Script(backend, tmp_path)


@at_each_address
def test_a_script_follows_what_others_write(backend, script):
    backend.begin("one")
    watching = script.start("watch")
    try:
        assert watching.stdout.readline() == "one\n"
        backend.add("from elsewhere")
        assert watching.stdout.readline() == "from elsewhere, one\n"
        script.run("add", "from a script")
        assert watching.stdout.readline() == "from a script, from elsewhere, one\n"
    finally:
        watching.kill()
        watching.communicate()


@at_each_address
def test_a_script_calls_an_action(backend, script):
    backend.begin("one", "two")
    assert script.run("summary") == "2 to do\n"


@at_each_address
def test_a_script_reads_page_after_page(backend, script):
    backend.begin(messages=12)
    assert script.run("read") == "".join(f"Bob: m{n}\n" for n in range(12, 0, -1))


@at_each_address
def test_a_script_is_told_what_went_wrong(backend, script):
    backend.begin()
    assert script.fail("send", "too early") == "Sign in to write."
    assert script.fail("add", " ") == "A task needs a text."


@at_each_address
def test_a_script_signs_in(backend, script):
    backend.begin()
    script.run("send", "hello", "Ann")
    assert script.run("read") == "Ann: hello\n"


async def test_a_script_stays_let_in_and_signed_in_when_its_connection_ends(
    backend, tmp_path
):
    """Secret and token are shown again with every connection."""
    backend.begin()
    running = backend.running
    async with cutting(
        running.port, random.Random(1), cuts=2, most_bytes=6000
    ) as proxy:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SIGNED_IN),
            env={
                "CONVEX_URL": f"{proxy.url}/?c={running.secret}",
                "TOKEN": token(backend.addresses.sign_in, "Ann"),
            },
        )
        assert await process.wait() == 0
        assert proxy.cuts_left == 0
    authors = {said["author"] for said in backend.messages()}
    assert authors == {"Ann"}


@pytest.mark.node
@at_each_address
def test_a_node_script_adds_and_reads(backend, tmp_path):
    """`add.mjs` of the JavaScript page."""
    require_packages()
    (tmp_path / "node_modules").symlink_to(BIN.parent)
    (tmp_path / "add.mjs").write_text(files_of("javascript")["add.mjs"])
    backend.begin("one")
    said = subprocess.run(
        ["node", "add.mjs", "from a script"],
        cwd=tmp_path,
        env={"CONVEX_URL": backend.addresses.convex, "PATH": str(BIN)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "from a script\none\n"
