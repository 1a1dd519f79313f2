"""A real deployment in a folder that goes away: started, pushed to, watched, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec
import psutil
from tests.benchmarks import wire
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

START_SECONDS = 150.0
POLL_SECONDS = 0.002


class Deployment:
    """One `convexlab serve` process and its children.

    Args:
        folder: the deployment's folder; what it prints goes to `serve.log` beside it.
        flags: of `convexlab serve`.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "address.json").unlink(missing_ok=True)
        self.log = folder.with_suffix(".log")
        command = ["-m", "convexlab", "serve", "--dir", str(folder), *flags]
        self.began = time.perf_counter()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command, "--port", str(free_port())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(os.environ, PYTHONUNBUFFERED="1"),
            )
        self.url = ""
        self.admin_key = ""

    # -- its life ------------------------------------------------------------------

    def wait(self) -> None:
        """Return when it has said where it is and answers there."""
        file = self.folder / "address.json"
        while True:
            if time.perf_counter() - self.began > START_SECONDS or self._ended():
                raise RuntimeError(f"no deployment came up:\n{self._last_words()}")
            with contextlib.suppress(OSError, ValueError, KeyError):
                said = json.loads(file.read_bytes())
                secret = said.get("secret")
                self.url = said["url"] + (f"/c/{secret}" if secret else "")
                self.admin_key = said["admin_key"]
                self.connect().close()
                return
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End it and see that its children end."""
        family = self.family()
        if not self._ended():
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        _, alive = psutil.wait_procs(family, timeout=10)
        for process in alive:
            process.kill()
        self.process.wait(10)
        if alive:
            left = ", ".join(str(process.pid) for process in alive)
            print(
                f"  N.B. had to kill {left}; the log ends with:\n{self._last_words()}"
            )

    def family(self) -> list[psutil.Process]:
        """The serving process and all that it started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def roles(self) -> dict[int, str]:
        """What each of its processes is, as it says itself."""
        said = self.ask("/api/convexlab/status")["processes"]
        roles = {each["pid"]: each["role"] for each in said}
        return {process.pid: "process" for process in self.family()} | {
            self.process.pid: "gateway",
            **roles,
        }

    def cpu_seconds(self) -> dict[int, float]:
        """The CPU time that each of its processes has had."""
        times = {process.pid: process.cpu_times() for process in self.family()}
        return {pid: each.user + each.system for pid, each in times.items()}

    def _ended(self) -> bool:
        return self.process.poll() is not None

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    # -- talking to it -------------------------------------------------------------

    def connect(self) -> wire.Connection:
        return wire.Connection(self.url)

    def ask(self, path: str, body: bytes | None = None) -> Any:
        """An admin's request; what the answer's JSON says."""
        connection = self.connect()
        try:
            headers = {"Authorization": f"Convex {self.admin_key}"}
            return json.loads(connection.ask(path, body, headers=headers))
        finally:
            connection.close()

    def push(self, modules: Mapping[str, str]) -> None:
        """Make these the modules."""
        sources = [
            {"path": path, "source": source, "origin": {"kind": "file", "name": path}}
            for path, source in modules.items()
        ]
        body = {
            "modules": sources,
            "mode": "replace_all",
            "remove": [],
            "dryRun": False,
        }
        said = self.ask("/api/convexlab/push", json.dumps(body).encode())
        if said.get("status") != "success":
            raise RuntimeError(f"the push failed: {json.dumps(said, indent=2)}")

    def run(self, kind: str, path: str, **args: Any) -> Any:
        """Call a function; its value."""
        said = self.ask(f"/api/{kind}", call(path, **args))
        if said.get("status") != "success":
            raise RuntimeError(f"{path} failed: {json.dumps(said, indent=2)}")
        return said["value"]

    def insert(
        self, table: str, documents: list[dict[str, Any]], *, batch: int = 5000
    ) -> None:
        """Import documents."""
        for at in range(0, len(documents), batch):
            lines = "\n".join(
                json.dumps(document) for document in documents[at : at + batch]
            )
            path = f"/api/import?tableName={table}&format=jsonLines&mode=append"
            said = self.ask(path, lines.encode())
            if "numWritten" not in said:
                raise RuntimeError(f"the import failed: {said}")


@contextlib.contextmanager
def deployment(
    folder: Path, modules: Mapping[str, str] | None = None, *flags: str
) -> Iterator[Deployment]:
    """A deployment that runs these modules, served with these flags."""
    found = Deployment(folder, *flags)
    try:
        found.wait()
        if modules:
            found.push(modules)
        yield found
    finally:
        found.stop()


def call(path: str, **args: Any) -> bytes:
    """The body of a function call.

    N.B. `json` takes ten times as long for the numbers of a vector.
    """
    return msgspec.json.encode(
        {"path": path, "args": args, "format": "convex_encoded_json"}
    )


# -- watching it -------------------------------------------------------------------


class Watch:
    """A thread that remembers the worst it saw: memory, WAL, and the disk's own pause.

    Args:
        watched: whose processes and folder.
    """

    def __init__(self, watched: Deployment) -> None:
        self._watched = watched
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self.peak_memory = 0.0
        self.largest_wal = 0.0
        self.longest_fsync = 0.0
        self._probe = watched.folder.with_suffix(".probe").open("wb")
        self._before: dict[int, float] = {}
        self._after: dict[int, float] = {}

    def __enter__(self) -> Self:
        self._before = self._watched.cpu_seconds()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._after = self._watched.cpu_seconds()
        self._over.set()
        self._thread.join()
        self._probe.close()
        self._memory()

    def cpu(self, times: int) -> str:
        """What one of `times` things cost each process that had work, in CPU time."""
        roles = self._watched.roles()
        costs = [
            (1e6 * (self._after[pid] - self._before.get(pid, 0.0)) / times, roles[pid])
            for pid in self._after
        ]
        said = [f"{role} {cost:.0f} µs" for cost, role in costs if cost >= 1]
        return "CPU time for each: " + ", ".join(said)

    def wal(self) -> float:
        """The WAL's size now, in MB."""
        return sum(_size(file) for file in self._watched.folder.rglob("*-wal")) / 1e6

    def _look(self) -> None:
        turn = 0
        while not self._over.wait(0.05):
            self.largest_wal = max(self.largest_wal, self.wal())
            self._fsync()
            if turn % 20 == 0:
                self._memory()
            turn += 1

    def _fsync(self) -> None:
        """How long the disk itself lets a few bytes wait, beside the load."""
        began = time.perf_counter()
        self._probe.write(b"x" * 512)
        self._probe.flush()
        os.fsync(self._probe.fileno())
        self.longest_fsync = max(
            self.longest_fsync, (time.perf_counter() - began) * 1e3
        )

    def _memory(self) -> None:
        now = sum(memory_of(process)[0] for process in self._watched.family())
        self.peak_memory = max(self.peak_memory, now)


def memory_of(process: psutil.Process) -> tuple[float, float]:
    """A process's proportional and resident memory in MB; twice the latter without /proc."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        kilobytes = {
            name: int(rest.split()[0])
            for name, _, rest in (line.partition(":") for line in text.splitlines()[1:])
        }
        return kilobytes["Pss"] / 1e3, kilobytes["Rss"] / 1e3
    with contextlib.suppress(psutil.Error):
        resident = process.memory_info().rss / 1e6
        return resident, resident
    return 0.0, 0.0


def parts_of_memory(process: psutil.Process) -> tuple[float, float]:
    """What a process holds for itself, and all that is resident, in MB.

    The rest are pages of files that it maps, which the system takes back when it likes.
    """
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{process.pid}/status").read_text()
        kilobytes = {
            name: int(rest.split()[0])
            for name, _, rest in (line.partition(":") for line in text.splitlines())
            if name in ("RssAnon", "VmRSS")
        }
        return kilobytes["RssAnon"] / 1e3, kilobytes["VmRSS"] / 1e3
    return memory_of(process)


def _size(file: Path) -> int:
    with contextlib.suppress(OSError):
        return file.stat().st_size
    return 0
