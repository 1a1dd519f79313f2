"""The official Python client, asked to do one thing: `python client.py SCENARIO`.

It blocks while it holds the interpreter, so it has a process of its own. Reads
CONVEX_URL and CONVEX_ADMIN_KEY; prints one JSON object a line, the outcome last.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from convex import ConvexClient, ConvexError
from convex.http_client import ConvexHttpClient
from convex.values import ConvexInt64

URL = os.environ["CONVEX_URL"]


def say(**outcome: Any) -> None:
    print(json.dumps(outcome, default=repr), flush=True)


def failure(call: Any, *args: Any) -> dict[str, Any]:
    try:
        return {"value": call(*args)}
    except ConvexError as error:
        return {"kind": "ConvexError", "data": error.data, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - the client has no class of its own
        return {"kind": type(error).__name__, "message": str(error)}


def connect() -> Any:
    client = ConvexClient(URL)
    key = os.environ.get("CONVEX_ADMIN_KEY")
    if key:
        client.set_admin_auth(key)
    return client


def calls() -> None:
    client = connect()
    say(
        before=client.query("counter:get"),
        written=client.mutation("counter:inc", {"by": 2}),
        after=client.query("counter:get"),
        action=client.action("ai:run"),
        bare=client.query("messages"),
        missing=failure(client.query, "no:such"),
    )


def mutation_alone() -> None:
    client = connect()
    say(values=[client.mutation("counter:inc") for _ in range(3)])


def errors() -> None:
    client = connect()
    say(
        plain=failure(client.query, "fail:query"),
        data=failure(client.query, "fail:query", {"data": {"code": 7}}),
        nothing=failure(client.mutation, "fail:mutation", {"data": None}),
        mutation=failure(client.mutation, "fail:mutation", {"data": {"code": 7}}),
        ordinary=failure(client.mutation, "fail:mutation"),
        still=client.query("counter:get"),
    )


def subscription() -> None:
    client = connect()
    updates = iter(client.subscribe("counter:get"))
    seen = [next(updates)]
    for _ in range(3):
        client.mutation("counter:inc")
        seen.append(next(updates))
    say(seen=seen)


def watch() -> None:
    """Every value of a query, until it is 3."""
    client = connect()
    for value in client.subscribe("counter:get"):
        say(value=value)
        if value == 3:
            return


def idle() -> None:
    for value in connect().subscribe("dir/deep:get"):
        say(value=value)


def cut() -> None:
    """Messages one after another, whatever happens to the connection.

    A call made while the connection breaks raises, whether it is done later or not.
    """
    client = connect()

    def send(body: str) -> str:
        while True:
            try:
                return client.mutation("messages:send", {"body": body})
            except Exception as error:
                if str(error) != "channel closed":
                    raise

    say(ids=[send(f"python {n}") for n in range(int(os.environ["COUNT"]))])


def values() -> None:
    client = connect()
    http = ConvexHttpClient(URL)
    value = {
        "nothing": None,
        "yes": True,
        "float": 1.5,
        "whole": 3,
        "int": ConvexInt64(9007199254740993),
        "text": "snow ☃ 𝄞",
        "bytes": b"\x00\xff",
        "list": [1, [2], {"a": []}],
        "infinite": float("inf"),
    }
    say(
        query=client.query("values:same", {"value": value}),
        mutation=client.mutation("values:echo", {"value": value}),
        http_query=http.query("values:same", {"value": value}),
        http_mutation=http.mutation("values:echo", {"value": value}),
    )


def big() -> None:
    size = int(os.environ.get("SIZE", str(17 << 20)))
    say(length=len(connect().query("values:big", {"size": size})))


def quotes() -> None:
    say(length=len(connect().query("values:quotes", {"size": 9 << 20})))


def http() -> None:
    client = ConvexHttpClient(URL)
    say(
        before=client.query("counter:get"),
        written=client.mutation("counter:inc", {"by": 2}),
        after=client.query("counter:get"),
        plain=failure(client.query, "fail:query"),
        data=failure(client.mutation, "fail:mutation", {"data": {"code": 7}}),
        missing=failure(client.query, "no:such"),
    )


if __name__ == "__main__":
    globals()[sys.argv[1]]()
