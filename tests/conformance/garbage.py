"""What is wrong with a message, a token, a frame or a handshake, sorted by its end."""

from __future__ import annotations

import json
import uuid
from typing import Any

import hypothesis.strategies as st
from tests.conformance.raw import CLOSE, CONTINUATION, PING, TEXT, frame

from convexlab.protocol.versions import encode_ts

NESTED = "[" * 3000 + "]" * 3000
LONE = '"\\ud800"'
# Each of these ends a session: it is told why, and closed without a status.
FATAL = st.sampled_from(
    [
        "",
        " ",
        "null",
        "[]",
        "{}",
        "{",
        '"Connect"',
        "\x00",
        NESTED,
        '{"type": 1}',
        '{"type": "Nothing"}',
        '{"type": "Transition"}',
        '{"type": "Mutation"}',
        '{"type": "Mutation", "requestId": "0", "udfPath": "points:inc", "args": [{}]}',
        '{"type": "Mutation", "requestId": 1.5, "udfPath": "points:inc", "args": [{}]}',
        '{"type": "Mutation", "requestId": -1, "udfPath": "points:inc", "args": [{}]}',
        f'{{"type": "Mutation", "requestId": {2**70}, "udfPath": "points:inc"}}',
        f'{{"type": "Mutation", "requestId": {"9" * 5000}, "udfPath": "points:inc"}}',
        '{"type": "Mutation", "requestId": 1, "udfPath": null, "args": [{}]}',
        '{"type": "Mutation", "requestId": 1, "udfPath": "points:inc", "args": {}}',
        '{"type": "Mutation", "requestId": 1, "udfPath": "points:inc", "args": [{}, {}]}',
        '{"type": "Action", "requestId": {}, "udfPath": "a:b", "args": []}',
        '{"type": "Action", "requestId": 1, "udfPath": "a:b", "args": [1, 2]}',
        '{"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, "modifications": [1]}',
        '{"type": "ModifyQuerySet", "baseVersion": "0", "newVersion": 1}',
        '{"type": "ModifyQuerySet", "baseVersion": -1, "newVersion": 0}',
        f'{{"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": {2**32}}}',
        '{"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 1, '
        '"modifications": [{"type": "Replace", "queryId": 1}]}',
        '{"type": "Authenticate", "tokenType": "User"}',
        '{"type": "Connect", "sessionId": "not one"}',
        '{"type": "Connect", "sessionId": 5}',
        '{"type": "Connect", "maxObservedTimestamp": "not one"}',
        '{"type": "Connect", "maxObservedTimestamp": "AAAA"}',
        '{"type": "Connect", "clientTs": "now"}',
        '{"type": "Connect", "clientTs": 1e400}',
        '{"type": "Connect", "connectionCount": 1.5}',
        f'{{"type": "Mutation", "requestId": {LONE}, "udfPath": "a:b", "args": [{{}}]}}',
        f'{{"type": {LONE}}}',
        f'{{"type": "Mutation", "requestId": 1, "args": [{NESTED}, {LONE}]',
        f'{{"type": "Event", "event": {NESTED}}}',
    ]
)
# What a well-behaved client would not count so: it is closed, and may come again.
BROKEN: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"type": "ModifyQuerySet", "baseVersion": 7777, "newVersion": 7778},
        {"type": "ModifyQuerySet", "baseVersion": 0, "newVersion": 0},
        {"type": "Authenticate", "baseVersion": 7777, "tokenType": "None"},
        {"type": "Connect", "maxObservedTimestamp": encode_ts(2**63 - 1)},
        {"type": "Connect", "maxObservedTimestamp": encode_ts(2**64 - 1)},
    ]
)
BAD_TOKENS = st.sampled_from(
    ["", "x", "a.b.c", "Bearer x", "e30.e30.", "a|b", "\ud800", "é" * 100, "." * 5000]
)
# What tells a session nothing, and ends none.
HARMLESS: st.SearchStrategy[str] = st.sampled_from(
    [
        '{"type": "Event"}',
        '{"type": "Event", "eventType": "x", "event": {"a": [1, {"b": null}]}}',
        '{"type": "Event", "eventType": "ClientConnect", "event": "\\ud800"}',
        '{"type": "Connect", "clientTs": 1e308}',
        '{"type": "Connect", "clientTs": -1}',
        '{"type": "Connect", "lastCloseReason": null, "later": [1]}',
        '{"type": "Connect", "lastCloseReason": "\\udfff"}',
        f'{{"type": "Connect", "maxObservedTimestamp": "{encode_ts(1)}"}}',
    ]
)
# Frames that are none, with the codes that say so.
BAD_FRAMES = st.sampled_from(
    [
        frame(3, b"reserved"),
        frame(TEXT, b"{}", bits=0x40),
        frame(TEXT, b"{}", bits=0x20),
        frame(CONTINUATION, b"of nothing"),
        frame(PING, b"x" * 126),
        frame(PING, b"in parts", final=False),
        frame(TEXT, b"{", final=False) + frame(TEXT, b"}"),
        frame(TEXT, b"\xff\xfe"),
        frame(TEXT, b"\xc3", final=False) + frame(CONTINUATION, b"("),
        frame(CLOSE, b"x"),
        frame(CLOSE, (5000).to_bytes(2)),
        frame(CLOSE, (1005).to_bytes(2)),
        frame(CLOSE, (1000).to_bytes(2) + b"\xff"),
        # A message longer than any that is taken: said by its head alone.
        bytes((0x81, 0xFF)) + (1 << 40).to_bytes(8) + b"mask",
        bytes((0x81, 0xFF)) + (1 << 63).to_bytes(8) + b"mask",
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.sampled_from([1e400, "", "\ud800", "secrets:mine", "$integer", 2**53, -0.0])
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "queryId", "args", "$integer", "$bytes", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=5,
)
GOOD: list[dict[str, Any]] = [
    {
        "type": "Connect",
        "sessionId": str(uuid.UUID(int=7)),
        "connectionCount": 1,
        "lastCloseReason": "x",
        "maxObservedTimestamp": encode_ts(1),
        "clientTs": 1,
    },
    {"type": "Authenticate", "baseVersion": 0, "tokenType": "User", "value": "x"},
    {
        "type": "Authenticate",
        "baseVersion": 0,
        "tokenType": "Admin",
        "value": "x|y",
        "impersonating": {"issuer": "i", "subject": "ann"},
    },
    {
        "type": "ModifyQuerySet",
        "baseVersion": 0,
        "newVersion": 1,
        "modifications": [
            {
                "type": "Add",
                "queryId": 0,
                "udfPath": "secrets:mine",
                "args": [{}],
                "journal": "x",
                "componentPath": "",
            },
            {"type": "Remove", "queryId": 0},
        ],
    },
    {"type": "Mutation", "requestId": 0, "udfPath": "secrets:keep", "args": [{}]},
    {"type": "Action", "requestId": 0, "udfPath": "secrets:read", "args": [{}]},
    {"type": "Event", "eventType": "ClientConnect", "event": {}},
]


@st.composite
def garbled(draw: st.DrawFn) -> str:
    """A message with something in it replaced, added or left out."""
    message = json.loads(json.dumps(draw(st.sampled_from(GOOD))))
    holder = message
    if message.get("modifications") and draw(st.booleans()):
        holder = draw(st.sampled_from(message["modifications"]))
    name = draw(st.sampled_from([*holder, "more"]))
    if draw(st.integers(0, 3)):
        holder[name] = draw(JSON)
    else:
        holder.pop(name, None)
    return json.dumps(message)


ASKS = (
    "GET /api/sync HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
)
BAD_HANDSHAKES = st.sampled_from(
    [
        f"{ASKS}Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: x\r\n\r\n",
        f"{ASKS}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
        f"{ASKS}Sec-WebSocket-Version: 13\r\n\r\n",
        f"{ASKS}\r\n",
        "GET /api/sync HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /api/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        ASKS.replace("/sync", "/%ff/sync") + "\r\n",
        ASKS.replace("/sync", "/no-version/sync") + "\r\n",
        ASKS + "Convex-Client: none\r\n\r\n",
    ]
)
