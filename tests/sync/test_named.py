"""A message's function and arguments, as they are kept and run, or why they are not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from convexlab import knobs
from convexlab.protocol.messages import Add, Mutation
from convexlab.sync.named import call_of, token_of


def add(path: str, *args: Any, **more: Any) -> Add:
    said = {"type": "Add", "queryId": 1, "udfPath": path, "args": list(args), **more}
    return msgspec.json.decode(msgspec.json.encode(said), type=Add)


def mutation(path: str, *args: Any, **more: Any) -> Mutation:
    said = {"type": "Mutation", "requestId": 1, "udfPath": path, "args": list(args)}
    return msgspec.json.decode(msgspec.json.encode(said | more), type=Mutation)


def test_one_query_has_one_token_however_it_is_spelled() -> None:
    spelled = [add("m.js:f", {"a": 1.0, "b": 2.0}), add("m:f", {"b": 2.0, "a": 1.0})]
    first, second = (token_of(each, admin=False, stored=False) for each in spelled)
    assert first == second
    assert first[1] == ""
    other, _ = token_of(spelled[0], admin=True, stored=False)
    assert other != first[0]


@pytest.mark.parametrize("more", [{}, {"componentPath": "mine"}])
def test_what_names_no_function_is_refused_in_its_words(more: dict[str, str]) -> None:
    path = "m:f" if more else "m:f:g"
    _, why = token_of(add(path, {}, **more), admin=False, stored=False)
    assert why.startswith(f"Could not find public function for '{path}'")
    assert ("in component 'mine'" in why) == bool(more)
    named, _, error = call_of(mutation(path, {}, **more))
    assert error is not None
    assert (named, error.message) == (path, why)


def test_arguments_that_are_too_large_are_not_decoded() -> None:
    large = {"text": "x" * knobs.MAX_VALUE_BYTES}
    _, why = token_of(add("m:f", large), admin=False, stored=False)
    assert "are too large" in why
    path, raw, error = call_of(mutation("m:f", large))
    assert error is not None
    assert (path, raw, error.message) == ("m:f", b"{}", why)
    assert call_of(mutation("m:f", {"a": 1.0}))[1:] == (b'{"a":1.0}', None)
