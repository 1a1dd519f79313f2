"""Points 58 to 60: values and numbers, as JSON has them."""

from __future__ import annotations

import json

import pytest
from tests.compat.clients import node, outcome, python
from tests.conformance.wire import wire

# Every row of the table of values: as JSON, and as npm's and Python's client show it.
ROWS = {
    "null": None,
    "boolean": True,
    "float64": 1.5,
    "whole": 3.0,
    "minus zero": {"$float": "AAAAAAAAAIA="},
    "not a number": {"$float": "AAAAAAAA+H8="},
    "infinity": {"$float": "AAAAAAAA8H8="},
    "minus infinity": {"$float": "AAAAAAAA8P8="},
    "int64": {"$integer": "BQAAAAAAAAA="},
    "minus one": {"$integer": "//////////8="},
    "string": 'snow ☃ 𝄞 \0 " \\',
    "bytes": {"$bytes": "AP8="},
    "array": [1.0, [2.0], {"a": []}],
    "object": {"": 1.0, "a b": {"c": None}, "~": []},
}


@pytest.mark.parametrize("row", ROWS)
async def test_point_58_every_value_comes_back_as_it_went(url, row):
    async with wire(url) as client:
        value = ROWS[row]
        client.follow("values:same", {"value": value})
        await client.confirmed()
        (change,) = client.messages[-1]["modifications"]
        assert json.dumps(change["value"]) == json.dumps(value)
        echo = client.mutate("values:echo", {"value": value}, writes=False)
        said = await client.response(echo)
        assert json.dumps(said["result"]) == json.dumps(value)


@pytest.mark.node
async def test_point_58_npms_values_come_back(url):
    said = await outcome(node("values"), url)
    for way in ("query", "mutation", "httpQuery", "httpMutation"):
        assert said[way] == said["sent"], way


async def test_point_58_pythons_values_come_back(url):
    said = await outcome(python("values"), url)
    assert said["query"]["float"] == 1.5
    assert said["query"]["whole"] == 3.0
    assert "9007199254740993" in str(said["query"]["int"])
    assert said["query"]["bytes"] == "b'\\x00\\xff'"
    for way in ("mutation", "http_query", "http_mutation"):
        assert said[way] == said["query"], way


def nested(depth):
    value = "x"
    for _ in range(depth):
        value = [value]
    return value


BAD = {
    "a field that begins with $": {"$x": 1},
    "a field beside a tag": {"$integer": "BQAAAAAAAAA=", "a": 1},
    "a tag that is none": {"$set": []},
    "a float that needs no tag": {"$float": "AAAAAAAA8D8="},
    "an integer of nine bytes": {"$integer": "BQAAAAAAAAAA"},
    "an array of 8193": [0] * 8193,
    "too deep": nested(65),
    "a name with a control character": {"a\n": 1},
    "a name that is no ASCII": {"ä": 1},
    "too many fields": {f"f{n}": 0 for n in range(1025)},
}


@pytest.mark.parametrize("what", [*BAD, "a lone surrogate"])
async def test_point_59_what_is_no_value_fails_its_call_only(url, name, what):
    async with wire(url) as client:
        text = json.dumps(BAD.get(what, "\ud800"))
        client.query_set, client.next_query = 1, 1
        client.asked[0], client.added[0] = ("values:same", {}), 1
        client.write(
            '{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":'
            '[{"type":"Add","queryId":0,"udfPath":"values:same","args":'
            f'[{{"value":{text}}}]}}]}}'
        )
        await client.confirmed()
        assert client.messages[-1]["modifications"][0]["type"] == "QueryFailed"
        client.requests, client.unanswered = 1, [0]
        client.write(
            '{"type":"Mutation","requestId":0,"udfPath":"values:echo","args":'
            f'[{{"value":{text}}}]}}'
        )
        said = await client.response(0)
        assert not said["success"]
        assert await client.run("points:inc", name=name) == 1, "it stays open"


@pytest.mark.node
async def test_point_59_npms_calls_fail_one_by_one(url):
    said = await outcome(node("refused"), url)
    for what in ("surrogate", "long", "deep"):
        assert "message" in said[what], (what, said[what])
    assert "too large" in said["large"]
    assert said["still"] >= 0


async def test_point_60_clocks_are_told_in_whole_numbers(url, issuer):
    async with wire(url, connect=False) as client:
        client.connect("0f5c0000-0000-4000-8000-000000000001", clientTs=1.7e12 + 0.25)
        client.modify()
        moved = await client.transition()
        assert type(moved["serverTs"]) is int
        assert type(moved["clientClockSkew"]) is int
        assert abs(moved["serverTs"] // 10**6 + moved["clientClockSkew"] - 1.7e12) < 2
        client.authenticate(issuer.token())
        again = await client.transition()
        assert again["clientClockSkew"] == moved["clientClockSkew"]
        assert type(again["serverTs"]) is int
