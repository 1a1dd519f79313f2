"""A stand-in for a deployment: one query, `state:get`, whose values a test sets.

A Jupyter Server extension that speaks as much of the sync protocol as a view
needs. The tests that stand on it ask what the page does with values, errors and
lost connections; what a deployment does is asked of a real one.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web, websocket

VALUES: dict[str, Any] = {}
SESSIONS: set[Session] = set()
CLOCK = {"ts": 1}


class Session(websocket.WebSocketHandler, JupyterHandler):
    """One client's socket: what it follows, and the version it stands at."""

    async def get(self, *args: Any, **kwargs: Any) -> None:
        if not self.current_user:
            raise web.HTTPError(403)
        await super().get(*args, **kwargs)

    def open(self, *_: str) -> None:
        self.names: dict[int, str] = {}
        self.version = {"querySet": 0, "identity": 0, "ts": encoded(0)}
        SESSIONS.add(self)

    def on_message(self, message: str | bytes) -> None:
        asked = json.loads(message)
        if asked["type"] == "ModifyQuerySet":
            self.modify(asked)

    def modify(self, asked: dict[str, Any]) -> None:
        news: list[dict[str, Any]] = []
        for change in asked["modifications"]:
            query = change["queryId"]
            if change["type"] == "Add":
                self.names[query] = change["args"][0]["name"]
                news.append(result(query, self.names[query]))
            else:
                self.names.pop(query)
                news.append({"type": "QueryRemoved", "queryId": query})
        self.tell(news, asked["newVersion"])

    def publish(self, name: str) -> None:
        queries = [query for query, mine in self.names.items() if mine == name]
        if queries:
            self.tell([result(q, name) for q in queries], self.version["querySet"])

    def tell(self, news: list[dict[str, Any]], query_set: int) -> None:
        after = {"querySet": query_set, "identity": 0, "ts": encoded(CLOCK["ts"])}
        transition = {
            "type": "Transition",
            "startVersion": self.version,
            "endVersion": after,
            "modifications": news,
        }
        self.version = after
        self.write_message(json.dumps(transition))

    def on_close(self) -> None:
        SESSIONS.discard(self)


class State(APIHandler):
    """What the tests turn: set a value (or an error) by its name, drop all sockets."""

    @web.authenticated
    def post(self, name: str) -> None:
        VALUES[name] = json.loads(self.request.body)
        CLOCK["ts"] += 1
        for session in list(SESSIONS):
            session.publish(name)
        self.finish("{}")

    @web.authenticated
    def get(self, _: str) -> None:
        self.finish(json.dumps({"sessions": len(SESSIONS)}))

    @web.authenticated
    def delete(self, _: str) -> None:
        for session in list(SESSIONS):
            session.close(1011, "InternalServerError")
        self.finish("{}")


class Version(APIHandler):
    """`GET /version`: somebody is here."""

    @web.authenticated
    def get(self) -> None:
        self.finish("standin")


def result(query: int, name: str) -> dict[str, Any]:
    said = VALUES.get(name, {"value": None})
    common = {"queryId": query, "logLines": [], "journal": None}
    if "error" in said:
        failed = {"type": "QueryFailed", "errorMessage": said["error"], **common}
        return failed | ({"errorData": said["data"]} if "data" in said else {})
    return {"type": "QueryUpdated", "value": said["value"], **common}


def encoded(ts: int) -> str:
    return base64.b64encode(ts.to_bytes(8, "little")).decode()


def _load_jupyter_server_extension(app: Any) -> None:
    base = url_path_join(app.web_app.settings["base_url"], "convex")
    routes = [
        (f"{base}/api/[^/]+/sync", Session),
        (f"{base}/state/(.*)", State),
        (f"{base}/version", Version),
    ]
    app.web_app.add_handlers(".*$", routes)
