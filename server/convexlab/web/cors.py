"""CORS: what lets a page of another origin read an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convexlab import knobs

if TYPE_CHECKING:
    from aiohttp import web

_METHODS: Final = "GET,POST,OPTIONS,PATCH,DELETE,PUT"


def cors(request: web.BaseRequest) -> dict[str, str]:
    """What lets a page of the asking origin read the answer."""
    origin = request.headers.get("Origin")
    if origin is None:
        return {}
    asked = request.headers.get("Access-Control-Request-Headers")
    headers = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    }
    if request.method == "OPTIONS":
        headers["Access-Control-Allow-Methods"] = _METHODS
        headers["Access-Control-Max-Age"] = str(knobs.CORS_MAX_AGE_SECONDS)
        if asked is not None:
            headers["Access-Control-Allow-Headers"] = asked
    return headers
