"""PyPI's client over HTTP alone, with a real token: CONVEX_URL and TOKEN say which."""

from __future__ import annotations

import json
import os

from convex.http_client import ConvexHttpClient

if __name__ == "__main__":
    http = ConvexHttpClient(os.environ["CONVEX_URL"])
    before = http.query("users:me")
    http.set_auth(os.environ["TOKEN"])
    said = {"me": http.query("users:me"), "claimed": http.mutation("users:claim")}
    print(json.dumps({"before": before, **said}), flush=True)
