"""The official Python client with a real token: CONVEX_URL and TOKEN say which."""

from __future__ import annotations

import json
import os

from convex import ConvexClient
from convex.http_client import ConvexHttpClient

URL = os.environ["CONVEX_URL"]

if __name__ == "__main__":
    client, http = ConvexClient(URL), ConvexHttpClient(URL)
    before = client.query("users:me")
    client.set_auth(os.environ["TOKEN"])
    http.set_auth(os.environ["TOKEN"])
    said = {
        "before": before,
        "me": client.query("users:me"),
        "claimed": client.mutation("users:claim"),
        "http": http.query("users:me"),
    }
    client.set_auth(None)
    print(json.dumps({**said, "after": client.query("users:me")}), flush=True)
