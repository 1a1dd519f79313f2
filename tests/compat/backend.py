"""The guide's backend, running: its functions deployed, its server signing people in.

One deployment asks for its secret path, as a notebook's does; one has no gate, as
`convexlab serve` has none.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from tests.compat.pages import Addresses, files_of, write
from tests.compat.site import answers
from tests.deployments import Deployment, deployment, until
from tests.ports import free_port

import convexlab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convexlab_kernel.client import Database


@dataclass(frozen=True)
class Backend:
    """A deployment with the guide's functions.

    Attributes:
        running: the deployment.
        addresses: what npm's clients are given.
        functions: the folder `convex/`, with the types of the functions.
    """

    running: Deployment
    addresses: Addresses
    functions: Path

    @property
    def database(self) -> Database:
        """The owner's way in."""
        return convexlab.connect(self.running.url, admin_key=self.running.admin_key)

    def begin(self, *tasks: str, messages: int = 0) -> None:
        """Have these tasks and so many messages, `m1` the oldest, and nothing else."""
        database = self.database
        for table in ("tasks", "messages"):
            database.table(table).clear()
        database.table("tasks").insert([{"text": text} for text in tasks])
        chat = [{"author": "Bob", "body": f"m{n + 1}"} for n in range(messages)]
        database.table("messages").insert(chat)

    def tasks(self) -> list[str]:
        """What the deployment holds, newest first."""
        return [task["text"] for task in self.database.query("tasks:list")]

    def messages(self) -> list[dict[str, Any]]:
        """The chat, newest first."""
        options = {"numItems": 1000, "cursor": None}
        page = self.database.query("chat:page", paginationOpts=options)
        return list(page["page"])

    def add(self, text: str) -> None:
        """A task from elsewhere."""
        self.database.mutation("tasks:add", text=text)

    def say(self, body: str) -> None:
        """A message from elsewhere."""
        self.database.as_user(subject="bob", name="Bob").mutation(
            "chat:send", body=body
        )


@contextmanager
def backend(folder: Path, sign_in: str, *arguments: str) -> Iterator[Backend]:
    """A deployment that runs the functions of the guide."""
    functions = folder / "convex"
    functions.mkdir(parents=True)
    with deployment(folder / "deployment", None, *arguments) as running:
        inside = f"{running.url}/c/{running.secret}" if running.secret else running.url
        addresses = Addresses(inside, sign_in)
        write(files_of("index"), folder, addresses)
        for word in ("deploy", "codegen"):
            convexlab_shell(running, word, str(functions))
        yield Backend(running, addresses, functions)


def convexlab_shell(running: Deployment, *words: str) -> None:
    """The guide's `convexlab …`, told of this deployment."""
    which = ["--url", running.url, "--admin-key", running.admin_key]
    done = subprocess.run(
        [sys.executable, "-m", "convexlab", *words, *which],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def signing_in(folder: Path) -> Iterator[str]:
    """The guide's `sign_in.py`, running; yields its address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    source = files_of("index")["sign_in.py"].replace("port=8300", f"port={port}")
    write({"sign_in.py": source}, folder, Addresses(sign_in=address))
    process = subprocess.Popen(
        [sys.executable, "sign_in.py"], cwd=folder, stdout=subprocess.DEVNULL
    )
    try:
        until(lambda: answers(f"{address}/keys"))
        yield address
    finally:
        process.terminate()
        process.wait()


def token(sign_in: str, name: str) -> str:
    """A token of somebody's."""
    return httpx.get(f"{sign_in}/token", params={"name": name}).text
