"""A deployment whose one query gives what a test has put: `state:get(name)`.

The real one, started by Jupyter's own extension beside its notebooks. It is
looked up anew for each request, so that it may die and come back in between.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 120.0
SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "state": define_table({"name": v.string(), "text": v.string()})
    .index("by_name", ["name"]),
})
"""
STATE = """
import json
from convexlab import ConvexError, mutation, query

def row_of(ctx, name):
    return ctx.db.query("state").with_index("by_name", name=name).first()

@query
def get(ctx, name: str):
    row = row_of(ctx, name)
    said = json.loads(row["text"]) if row else {"value": None}
    if "data" in said:
        raise ConvexError(said["data"])
    if "error" in said:
        raise ValueError(said["error"])
    return said["value"]

@mutation
def put(ctx, name: str, text: str):
    row = row_of(ctx, name)
    if row:
        ctx.db.patch(row["_id"], {"text": text})
    else:
        ctx.db.insert("state", {"name": name, "text": text})
"""


@dataclass
class State:
    """What `state:get` gives, by name.

    Args:
        folder: of the deployment.
    """

    folder: Path

    def open(self, **more: str) -> None:
        """Wait until it runs, and push the modules: these, and what else is given."""
        modules = {"schema": SCHEMA, "state": STATE, **more}
        origin = {"kind": "file", "name": "test"}
        pushed = [
            {"path": path, "source": source, "origin": origin}
            for path, source in modules.items()
        ]
        self.push(pushed, mode="replace_all")

    def open_with_tasks(self, *, schema: str, tasks: str) -> None:
        """Open it with a module `tasks`, which has made three of them."""
        self.open(schema=schema, tasks=tasks)
        for number in range(3):
            self.run("mutation", "tasks:create", text=f"task {number}", points=number)

    def push(self, modules: list[dict[str, Any]], mode: str = "merge") -> None:
        """Push modules; the others stay, unless all are replaced."""
        said = self._ask("convexlab/push", {"modules": modules, "mode": mode})
        assert said["status"] == "success", said

    def put(self, name: str, value: Any = None) -> None:
        """Set a value."""
        self._put(name, {"value": value})

    def fail(self, name: str, error: str) -> None:
        """Let the query of this name raise a ValueError."""
        self._put(name, {"error": error})

    def refuse(self, name: str, data: Any) -> None:
        """Let the query of this name raise a ConvexError."""
        self._put(name, {"data": data})

    def run(self, kind: str, path: str, **args: Any) -> Any:
        """Call a function."""
        body = {"path": path, "args": args, "format": "json"}
        answer = self._ask(kind, body)
        assert answer["status"] == "success", answer
        return answer["value"]

    def sql(self, statement: str) -> None:
        """Ask in SQL, as a notebook does: the columnar mirror begins with it."""
        address = self._address()
        answer = httpx.post(
            f"{address['url']}/api/convexlab/sql",
            json={"sql": statement, "format": "json"},
            headers={"Authorization": f"Convex {address['admin_key']}"},
            timeout=PATIENCE_SECONDS,
        )
        answer.raise_for_status()

    def run_at_once(self, path: str, **args: Any) -> float:
        """Call a mutation over a connection that is open; when it was sent, in ms."""
        address = self._address()
        url = urlsplit(address["url"])
        connection = http.client.HTTPConnection(str(url.hostname), url.port)
        connection.connect()
        body = json.dumps({"path": path, "args": args, "format": "json"})
        headers = {
            "Authorization": f"Convex {address['admin_key']}",
            "Content-Type": "application/json",
        }
        sent = time.time() * 1e3
        connection.request("POST", f"{url.path}/api/mutation", body, headers)
        said = json.loads(connection.getresponse().read())
        connection.close()
        assert said["status"] == "success", said
        return sent

    def kill(self) -> None:
        """End the serving process as if the power had gone."""
        process = psutil.Process(self._address()["pid"])
        process.kill()
        process.wait(PATIENCE_SECONDS)

    @contextlib.contextmanager
    def written_by_tomorrow(self) -> Iterator[None]:
        """Let the store be of a version that is yet to come: what starts ends at once."""
        with contextlib.closing(
            sqlite3.connect(self.folder / "store.sqlite3")
        ) as store:
            ((format_,),) = store.execute("SELECT format FROM meta")
            store.execute("UPDATE meta SET format = 99")
            store.commit()
            yield
            store.execute("UPDATE meta SET format = ?", [format_])
            store.commit()

    def _put(self, name: str, said: dict[str, Any]) -> None:
        self.run("mutation", "state:put", name=name, text=json.dumps(said))

    def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                address = self._address()
                answer = httpx.post(
                    f"{address['url']}/api/{path}",
                    json=body,
                    headers={"Authorization": f"Convex {address['admin_key']}"},
                    timeout=PATIENCE_SECONDS,
                )
                answer.raise_for_status()
                return dict(answer.json())
            except (OSError, httpx.HTTPError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _address(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "address.json").read_bytes()))


def end_deployment(folder: Path) -> None:
    """End a deployment that outlived whoever started it, if there is one."""
    with contextlib.suppress(OSError, psutil.NoSuchProcess):
        pid = json.loads((folder / "address.json").read_bytes())["pid"]
        psutil.Process(pid).terminate()
