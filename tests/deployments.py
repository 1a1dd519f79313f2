"""A real deployment for a test: started, pushed to, killed, started again, ended.

start ──▶ push, query, mutate, kill one of its processes ──▶ stop ──▶ start …
                                                        └──▶ kill ──▶ start …

It keeps its port, so that clients find it again where it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import psutil
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# For whatever must happen: long enough for a loaded machine, an end for a hung one.
PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.01


class Deployment:
    """One `convexlab serve` and the processes that it starts.

    Args:
        folder: the deployment's; its log is beside it.
        arguments: further ones of `convexlab serve`.
        knobs: other values of the serving process's knobs.
    """

    def __init__(self, folder: Path, *arguments: str, **knobs: float) -> None:
        self.folder = folder
        self.log_file = folder.with_name(f"{folder.name}.log")
        self.port = free_port()
        self.url = ""
        self.secret = ""
        self.admin_key = ""
        self._arguments = arguments
        self._knobs = knobs
        # Python that the serving process runs before it begins; *set by* tests.
        self.prelude = ""
        self._process: subprocess.Popen[bytes] | None = None
        # No connection outlives its request: the next one may meet another process.
        self._http = httpx.Client(
            verify=False,
            timeout=PATIENCE_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    # -- its life ------------------------------------------------------------------

    def start(self) -> float:
        """Start it; returns once it answers, with the seconds that took."""
        began = time.perf_counter()
        address = self.folder / "address.json"
        address.unlink(missing_ok=True)  # of one that was killed
        self._process = spawn(
            "serve",
            "--dir",
            str(self.folder),
            "--port",
            str(self.port),
            *self._arguments,
            output=self.log_file,
            prelude=self.prelude,
            **self._knobs,
        )
        until(lambda: address.exists() or self._process.poll() is not None, self.log)
        assert address.exists(), f"no deployment came up:\n{self.log()}"
        said = json.loads(address.read_bytes())
        self.url, self.secret = said["url"], said["secret"]
        self.admin_key = said["admin_key"]
        return time.perf_counter() - began

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the serving process as if the power had gone; its children follow."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Leave nothing running, whatever happened."""
        self._http.close()
        if self._process is None:
            return
        family = self.family()
        self._end(signal.SIGTERM)
        for process in psutil.wait_procs(family, timeout=PATIENCE_SECONDS)[1]:
            process.kill()

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None, "it was never started"
        if self._process.poll() is None:
            self._process.send_signal(number)
        status = self._process.wait(PATIENCE_SECONDS)
        self._process = None
        return status

    @property
    def pid(self) -> int:
        """Of the serving process."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def family(self) -> list[psutil.Process]:
        """The serving process and all that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.pid)
            return [first, *first.children(recursive=True)]
        return []

    def wait_until_ended(self) -> int:
        """Wait until it ends by itself; its exit status."""
        assert self._process is not None, "it was never started"
        status = self._process.wait(PATIENCE_SECONDS)
        self._process = None
        return status

    def log(self) -> str:
        """What it and its processes have said so far."""
        return self.log_file.read_text(errors="replace")

    # -- its processes -------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        answer = self.ask("GET", "/api/convexlab/status")
        answer.raise_for_status()
        return dict(answer.json())

    def pids(self, role: str) -> list[int]:
        """Of the processes in a role: `writer`, `reader`, `spare`."""
        return [p["pid"] for p in self.status()["processes"] if p["role"] == role]

    # -- talking to it -------------------------------------------------------------

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        **request: Any,
    ) -> httpx.Response:
        """One request, with the admin key unless another is given ("" for none)."""
        key = self.admin_key if key is None else key
        headers = {"Authorization": f"Convex {key}"} if key else {}
        if body is not None:
            request["json"] = body
        headers |= request.pop("headers", {})
        return self._http.request(method, self.url + path, headers=headers, **request)

    def call(self, kind: str, path: str, /, **args: Any) -> dict[str, Any]:
        """Call a public function as anybody; the envelope of its outcome."""
        body = {"path": path, "args": args, "format": "json"}
        answer = self.ask("POST", f"/api/{kind}", body, key="")
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return dict(answer.json())

    def query(self, path: str, /, **args: Any) -> Any:
        """A query's value."""
        return value_of(self.call("query", path, **args))

    def mutation(self, path: str, /, **args: Any) -> Any:
        """A mutation's value."""
        return value_of(self.call("mutation", path, **args))

    def action(self, path: str, /, **args: Any) -> Any:
        """An action's value."""
        return value_of(self.call("action", path, **args))

    def try_push(
        self, modules: Mapping[str, str], *, mode: str = "replace_all"
    ) -> dict[str, Any]:
        """Push modules; what the deployment says to it."""
        body = {"modules": sources(modules), "mode": mode}
        answer = self.ask("POST", "/api/convexlab/push", body)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return dict(answer.json())

    def push(self, modules: Mapping[str, str], *, mode: str = "replace_all") -> None:
        """Push modules, which are good."""
        said = self.try_push(modules, mode=mode)
        assert said["status"] == "success", json.dumps(said, indent=2)


@contextlib.contextmanager
def deployment(
    folder: Path,
    modules: Mapping[str, str] | None = None,
    *arguments: str,
    **knobs: float,
) -> Iterator[Deployment]:
    """A deployment that runs these modules; at the end nothing of it runs."""
    running = Deployment(folder, *arguments, **knobs)
    try:
        running.start()
        if modules is not None:
            running.push(modules)
        yield running
    finally:
        running.close()


def spawn(
    *arguments: str, output: Path, prelude: str = "", **knobs: float
) -> subprocess.Popen[bytes]:
    """Start `convexlab`, what it says added to a file; its secret is kept beside that."""
    turns = [f"knobs.{name} = {value!r}" for name, value in knobs.items()]
    turns += [prelude] if prelude else []
    code = ["from convexlab import knobs", *turns, "import convexlab.cli.main as cli"]
    with output.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", "; ".join([*code, "cli.main()"]), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "XDG_CONFIG_HOME": str(output.with_name("config")),
            },
        )


def sources(modules: Mapping[str, str]) -> Sequence[dict[str, Any]]:
    """Modules as a push takes them."""
    return [
        {"path": path, "source": source, "origin": {"kind": "file", "name": path}}
        for path, source in modules.items()
    ]


def value_of(said: dict[str, Any]) -> Any:
    """The value in a function's envelope."""
    assert said["status"] == "success", json.dumps(said, indent=2)
    return said["value"]


def until(is_so: Any, what: Any = str) -> None:
    """Wait until something is so; fails with what `what` returns when it never is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"it never came to that: {what()}"
        time.sleep(_POLL_SECONDS)
