from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from convexlab.functions.http import RouteSpec
from convexlab.sync.backend import ActionCall, Caller
from convexlab.sync.known import KnownFunctions


def item(identifier: str, kind: str, visibility: str = "public") -> dict[str, Any]:
    return {
        "identifier": identifier,
        "functionType": kind,
        "visibility": {"kind": visibility},
    }


@dataclass
class Deployed:
    """What a push says."""

    functions: list[dict[str, Any]] = field(
        default_factory=lambda: [
            item("a/m.js:list_all", "Query"),
            item("m.js:send_now", "Action"),
            item("m.js:hidden", "Action", "internal"),
            item("m.js:default", "Mutation"),
            {"functionType": "HttpAction", "method": "GET", "path": "/x"},
        ]
    )
    plain: list[str] = field(default_factory=lambda: ["m:send_now"])
    routes: list[RouteSpec] | None = None


KNOWN = KnownFunctions(Deployed())


def why_not(path: str, *, admin: bool = False) -> str | None:
    error = KNOWN.why_not(ActionCall("g1", path, b"{}", Caller(admin=admin)))
    return error and error.message


def test_a_function_is_known_by_each_of_its_spellings() -> None:
    assert KNOWN.kind("a/m:list_all") == KNOWN.kind("a/m:listAll") == "query"
    assert KNOWN.kind("m") == "mutation"
    assert KNOWN.kind("m:nothing") is None
    assert KNOWN.is_plain("m:sendNow")
    assert not KNOWN.is_plain("m:hidden")


@pytest.mark.parametrize("path", ["m:nothing", "m:hidden"])
def test_an_internal_action_is_none_to_strangers(path: str) -> None:
    assert why_not(path) == f"Could not find public function for '{path}'."


def test_whoever_may_call_an_action_hears_nothing() -> None:
    assert why_not("m:sendNow") is None
    assert why_not("m:hidden", admin=True) is None
    assert (
        why_not("m:nothing", admin=True) == "Could not find function for 'm:nothing'."
    )
    wrong = "Trying to execute a/m.js:list_all as Action, but it is defined as Query."
    assert why_not("a/m:list_all") == wrong


def test_a_request_has_a_route_or_a_text() -> None:
    assert "does not have HTTP actions" in str(KNOWN.route("GET", "/x"))
    route = RouteSpec("GET", "/x", is_prefix=False, plain=True)
    known = KnownFunctions(Deployed(routes=[route]))
    assert known.route("HEAD", "/x") is route
    assert known.route("POST", "/x") == "No matching routes found"


def test_nothing_is_known_before_there_is_anything() -> None:
    assert KnownFunctions().kind("m:f") is None
