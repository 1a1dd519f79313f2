"""OpenAPI: a deployment's public functions as an HTTP API, for generators of clients.

    GET /api/v1/openapi.json   (and /api/public_openapi.json)

Each function is `POST /api/run/{module}/{function}`, its arguments and result typed by
their validators in the format `json`. It takes the admin key to read: what functions
there are is nobody else's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convexlab.functions.json_schemas import schema_of_validator
from convexlab.web.answers import json_answer, owners
from convexlab.web.release import release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from convexlab.functions.processes.push import Pusher
    from convexlab.web.server import Door
    from convexlab.web.system import System

_CLOUD_URL = "_system/cli/convexUrl:cloudUrl"
_FORM = "json"
_ERROR = {
    "type": "object",
    "properties": {
        "status": {"const": "error"},
        "errorMessage": {"type": "string"},
        "errorCode": {"type": "string"},
        "errorData": {},
    },
    "required": ["status", "errorMessage"],
}
_REFUSED = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["code", "message"],
}


class OpenApi:
    """The description of one deployment.

    Args:
        pusher: knows the functions.
        system: knows where the deployment is reached.
    """

    def __init__(self, pusher: Pusher, system: System) -> None:
        self._pusher = pusher
        self._system = system

    def add_to(self, door: Door) -> None:
        """Answer at the door."""
        for path in ("/api/v1/openapi.json", "/api/public_openapi.json"):
            door.add("GET", path, owners(door, self.get))

    async def get(self, _request: web.BaseRequest) -> web.Response:
        """Describe what clients may call."""
        deployed = await self._pusher.describe(counts=False)
        url = await self._system.ask(_CLOUD_URL)
        return json_answer(described(deployed.functions, deployed.descriptions, url))


def described(
    functions: list[dict[str, Any]], descriptions: Mapping[str, str], url: str
) -> dict[str, Any]:
    """An OpenAPI document of the public ones among some functions.

    Args:
        functions: items of the function spec.
        descriptions: their docstrings, by `module:name`.
        url: where the deployment is reached.
    """
    paths = {}
    for item in functions:
        if item.get("visibility", {}).get("kind") == "public":
            path = item["identifier"].replace(".js:", ":")
            operation = _operation(path, item, descriptions.get(path))
            paths[f"/api/run/{path.replace(':', '/')}"] = {"post": operation}
    return {
        "openapi": "3.1.0",
        "info": {"title": "A convexlab deployment", "version": release()},
        "servers": [{"url": url}],
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR, "Refused": _REFUSED},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(path: str, item: Mapping[str, Any], told: str | None) -> dict[str, Any]:
    """One function as a POST."""
    args = schema_of_validator(item["args"], _FORM)
    success = {
        "type": "object",
        "properties": {
            "status": {"const": "success"},
            "value": schema_of_validator(item["returns"], _FORM),
            "logLines": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["status", "value"],
    }
    body = {
        "type": "object",
        "properties": {"args": args, "format": {"const": _FORM}},
        "required": ["args"],
    }
    outcome = {"oneOf": [success, {"$ref": "#/components/schemas/Error"}]}
    return {
        "operationId": path,
        "tags": [item["functionType"].lower()],
        **({"description": told} if told else {}),
        "requestBody": {"required": True, "content": _as_json(body)},
        "responses": {
            "200": {"description": "What came of it.", "content": _as_json(outcome)},
            "default": {
                "description": "It was not called.",
                "content": _as_json({"$ref": "#/components/schemas/Refused"}),
            },
        },
    }


def _as_json(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
