"""Whatever dies at whatever step of an action's life: it is never run twice.

The actions call a service outside at each step, which kills a process there when the
test says so, and which counts. What comes back says what happened: an action whose
process died has failed and says so, one whose writer or reader died goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.conformance.proxy import proxy
from tests.deployments import PATIENCE_SECONDS, deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.deployments import Deployment

STEPS = ("begun", "read", "wrote")
RUNS = 60

MODULES = {
    "m": """
import httpx
from convexlab import action, mutation, query

@mutation
def note(ctx, id_: str):
    ctx.db.insert("notes", {"id": id_})

@query
def notes(ctx):
    return [note["id"] for note in ctx.db.query("notes").collect()]

@action
async def work(ctx, url: str, id_: str):
    async with httpx.AsyncClient(timeout=60) as outside:
        await outside.get(f"{url}/begun/{id_}")
        await ctx.run_query(notes)
        await outside.get(f"{url}/read/{id_}")
        await ctx.run_mutation(note, id=id_)
        await outside.get(f"{url}/wrote/{id_}")
    return id_

@action
def work_plain(ctx, url: str, id_: str):
    with httpx.Client(timeout=60) as outside:
        outside.get(f"{url}/begun/{id_}")
        ctx.run_query(notes)
        outside.get(f"{url}/read/{id_}")
        ctx.run_mutation(note, id=id_)
        outside.get(f"{url}/wrote/{id_}")
    return id_
"""
}


class Outside:
    """The service that actions call: it counts, and does what a test wants done."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.then: dict[tuple[str, str], Callable[[], None]] = {}
        outside = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, step, name = self.path.split("/")
                outside.calls[name, step] += 1
                outside.then.pop((name, step), lambda: None)()
                with contextlib.suppress(ConnectionError):  # who asked may be dead
                    self.send_response(204)
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def steps(self, name: str) -> list[int]:
        """How often each step of an action was taken."""
        return [self.calls[name, step] for step in STEPS]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def outside() -> Iterator[Outside]:
    service = Outside()
    yield service
    service.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("actions") / "deployment"
    with deployment(folder, MODULES, "--site-port", "0") as it:
        yield it


def kill(served: Deployment, role: str) -> None:
    """Kill all processes in a role, and wait until they are gone."""
    for pid in served.pids(role):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            process.kill()
            process.wait(PATIENCE_SECONDS)


@pytest.mark.parametrize("name", ["work", "work_plain"])
@pytest.mark.parametrize("step", STEPS)
def test_an_action_whose_process_dies_fails_and_is_not_run_again(
    served: Deployment, outside: Outside, name: str, step: str
) -> None:
    called = f"{name} {step}".replace(" ", "-")
    role = "plain_runner" if name == "work_plain" else "shared_runner"
    outside.then[called, step] = lambda: kill(served, role)
    said = served.call("action", f"m:{name}", url=outside.url, id=called)
    assert said["status"] == "error"
    assert "killed by signal 9" in said["errorMessage"]
    assert "not run again" in said["errorMessage"]
    died_at = STEPS.index(step)
    assert outside.steps(called) == [int(n <= died_at) for n in range(len(STEPS))]
    assert served.query("m:notes").count(called) == int(step == "wrote")


@pytest.mark.parametrize(
    ("name", "role"), [("work", "writer"), ("work", "reader"), ("work_plain", "writer")]
)
def test_an_action_goes_on_when_the_processes_that_it_calls_die(
    served: Deployment, outside: Outside, name: str, role: str
) -> None:
    for step in STEPS:
        called = f"{name}-{role}-{step}"
        outside.then[called, step] = lambda: kill(served, role)
        said = served.call("action", f"m:{name}", url=outside.url, id=called)
        assert said.get("value") == called, said
        assert outside.steps(called) == [1, 1, 1]
        assert served.query("m:notes").count(called) == 1


def test_of_many_actions_none_runs_twice_while_runners_die(
    served: Deployment, outside: Outside
) -> None:
    seed = int(os.environ.get("JOURNEY_SEED") or random.SystemRandom().getrandbits(32))
    print(f"JOURNEY_SEED={seed}")
    chance = random.Random(seed)
    for n in chance.sample(range(RUNS), 6):
        role = chance.choice(["shared_runner", "plain_runner"])
        step = chance.choice(STEPS)
        outside.then[f"{n}", step] = partial(kill, served, role)

    def call(n: int) -> dict[str, Any]:
        name = "work_plain" if n % 4 == 0 else "work"
        return served.call("action", f"m:{name}", url=outside.url, id=f"{n}")

    with ThreadPoolExecutor(8) as clients:
        said = list(clients.map(call, range(RUNS)))
    notes = Counter(served.query("m:notes"))
    for n in range(RUNS):
        steps = outside.steps(f"{n}")
        assert max(steps) <= 1, f"action {n} took a step twice: {steps}"
        assert notes[f"{n}"] <= 1
        if said[n]["status"] == "success":
            assert (steps, notes[f"{n}"]) == ([1, 1, 1], 1)
        else:
            assert "not run again" in said[n]["errorMessage"], said[n]
    failed = sum(each["status"] == "error" for each in said)
    print(f"{failed} of {RUNS} failed")
    assert 0 < failed < RUNS


CLIENT = """
import sys
from convex import ConvexClient

url, outside, name = sys.argv[1:]
client = ConvexClient(url)
try:
    print("value", client.action("m:work", {"url": outside, "id": name}))
except Exception as error:
    print("failed", error)
"""


@pytest.mark.parametrize("step", ["begun", "wrote"])
def test_a_client_that_asks_again_after_a_restart_has_nothing_run_twice(
    tmp_path_factory: pytest.TempPathFactory,
    served: Deployment,
    outside: Outside,
    step: str,
) -> None:
    """PyPI's client repeats its actions; the deployment is killed under one."""
    called = f"restart-{step}"
    is_dead = threading.Event()

    def die() -> None:
        os.kill(served.pid, signal.SIGKILL)
        is_dead.set()

    outside.then[called, step] = die
    command = [sys.executable, "-c", CLIENT, served.url, outside.url, called]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert is_dead.wait(PATIENCE_SECONDS)
        served.wait_until_ended()
        served.start()
        said, _ = client.communicate(timeout=PATIENCE_SECONDS)
    finally:
        client.kill()
        client.communicate()
    assert said.startswith("failed ")
    assert "Connection lost while action was in flight" in said
    assert max(outside.steps(called)) == 1
    assert served.query("m:notes").count(called) <= 1


async def test_a_client_that_asks_again_on_a_new_connection_gets_the_one_outcome(
    served: Deployment, outside: Outside
) -> None:
    """The connection is cut, the deployment lives: the action ends, and answers."""
    called = "cut"
    loop, asked_again = asyncio.get_running_loop(), threading.Event()
    async with proxy(served.url) as between:

        def cut() -> None:
            loop.call_soon_threadsafe(between.cut)
            assert asked_again.wait(PATIENCE_SECONDS)

        outside.then[called, "read"] = cut
        command = ["-c", CLIENT, between.url, outside.url, called]
        client = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE
        )
        try:
            await between.until(lambda: actions_in(between.said) == 2)
            asked_again.set()
            said, _ = await client.communicate()
        finally:
            asked_again.set()
            if client.returncode is None:
                client.kill()
                await client.communicate()
    # N.B. a busy machine holds the action up, which its log then says.
    assert said.splitlines()[-1:] == [f"value {called}".encode()]
    assert outside.steps(called) == [1, 1, 1]
    assert (await asyncio.to_thread(served.query, "m:notes")).count(called) == 1


def actions_in(said: list[dict[str, Any]]) -> int:
    """How often a client has asked for an action."""
    return sum(message["type"] == "Action" for message in said)
