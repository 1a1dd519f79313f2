"""Messages are read as official clients write them."""

from __future__ import annotations

import json

import msgspec
import pytest

from convexlab.errors import RemoteProtocolError
from convexlab.protocol.messages import (
    Add,
    Authenticate,
    Connect,
    Event,
    ModifyQuerySet,
    Mutation,
    Ping,
    Remove,
    arguments,
    decode,
    encode,
    function_path,
)


def read(**message):
    return decode(json.dumps(message))


def test_connect_may_say_little():
    assert read(type="Connect") == Connect()
    connect = read(
        type="Connect",
        sessionId="x",
        connectionCount=1,
        lastCloseReason=None,
        clientTs=1795335531697,
        newField=[1],
    )
    assert connect == Connect("x", 1, None, None, 1795335531697)


def test_query_sets_add_and_remove():
    modify = read(
        type="ModifyQuerySet",
        baseVersion=0,
        newVersion=1,
        modifications=[
            {"type": "Add", "queryId": 0, "udfPath": "m:f", "args": [{"a": 1}]},
            {"type": "Remove", "queryId": 7},
        ],
    )
    assert isinstance(modify, ModifyQuerySet)
    add, remove = modify.modifications
    assert isinstance(add, Add)
    assert arguments(add.args) == b'{"a": 1}'
    assert remove == Remove(7)


@pytest.mark.parametrize("name", ["impersonating", "acting_as"])
def test_both_names_of_impersonation_are_read(name):
    message = read(
        type="Authenticate", baseVersion=1, tokenType="Admin", value="k", **{name: {}}
    )
    assert isinstance(message, Authenticate)
    assert getattr(message, name) == {}


def test_telemetry_is_read_and_forgotten():
    assert isinstance(
        read(type="Event", eventType="ClientConnect", event=[{"name": "x"}]), Event
    )


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"x"', '{"type":"Nothing"}', '{"type":"Mutation"}', '{"a":1}'],
)
def test_what_is_no_message_breaks_the_protocol(text):
    with pytest.raises(RemoteProtocolError):
        decode(text)


def test_a_lone_surrogate_is_left_for_whoever_reads_the_arguments():
    mutation = decode(
        '{"type":"Mutation","requestId":1,"udfPath":"m","args":[{"a":"\\ud800"}]}'
    )
    assert isinstance(mutation, Mutation)
    assert arguments(mutation.args) == b'{"a": "\\ud800"}'
    modify = decode(
        '{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":'
        '[{"type":"Add","queryId":0,"udfPath":"m","args":[{"a":"\\ud800"}]}]}'
    )
    assert isinstance(modify, ModifyQuerySet)


def test_a_lone_surrogate_elsewhere_names_nothing():
    mutation = decode('{"type":"Mutation","requestId":1,"udfPath":"\\ud800"}')
    assert isinstance(mutation, Mutation)
    assert function_path(mutation.udf_path) is None
    shown = decode(
        '{"type":"Authenticate","baseVersion":0,"tokenType":"User","value":"\\ud800",'
        '"impersonating":{"name":"\\udfff"}}'
    )
    assert shown == Authenticate(0, "User", "?", {"name": "?"})


@pytest.mark.parametrize(
    "args", ['{"a":"\\ud800"}', '"\\ud800"', "[" * 3000 + '"\\ud800"' + "]" * 3000]
)
def test_a_lone_surrogate_excuses_nothing_else(args):
    with pytest.raises(RemoteProtocolError):
        decode(f'{{"type":"Mutation","requestId":1,"udfPath":"m","args":{args}}}')


@pytest.mark.parametrize("count", ["-1", "4294967296", "1.0", "1e3", "9" * 5000, '"1"'])
def test_what_clients_count_in_has_32_bits(count):
    with pytest.raises(RemoteProtocolError):
        decode(f'{{"type":"Mutation","requestId":{count},"udfPath":"m"}}')
    with pytest.raises(RemoteProtocolError):
        decode(f'{{"type":"ModifyQuerySet","baseVersion":0,"newVersion":{count}}}')


def test_functions_take_one_object():
    assert arguments([]) == b"{}"
    with pytest.raises(RemoteProtocolError, match="one arguments object"):
        arguments([msgspec.Raw(b"{}")] * 2)


@pytest.mark.parametrize(
    ("spelling", "path"),
    [
        ("messages:list", "messages:list"),
        ("messages.js:list", "messages:list"),
        ("messages", "messages:default"),
        ("messages.js", "messages:default"),
        ("dir/messages:list", "dir/messages:list"),
        ("_system/cli/tables", "_system/cli/tables:default"),
        ("bad path", None),
        ("a:b:c", None),
        ("", None),
        ("a-b:c", None),
    ],
)
def test_a_function_has_one_canonical_path(spelling, path):
    assert function_path(spelling) == path


def test_what_we_say_is_camel_case():
    assert encode(Ping()) == b'{"type":"Ping"}'
