"""The client's side of the sync protocol."""

from __future__ import annotations

import json

from convexlab_kernel.state import ZERO_TS, Broken, Following, QueryFailed, QueryUpdated

T1 = "AAAqNv6clxc="
T2 = "AQAqNv6clxc="


def version(query_set, ts, identity=0):
    return {"querySet": query_set, "identity": identity, "ts": ts}


def transition(start, end, *modifications):
    return json.dumps(
        {
            "type": "Transition",
            "startVersion": start,
            "endVersion": end,
            "modifications": list(modifications),
            "serverTs": 1,
        }
    )


def updated(query_id, value):
    return {"type": "QueryUpdated", "queryId": query_id, "value": value, "logLines": []}


def sent(frames):
    return [json.loads(frame) for frame in frames]


def test_a_connection_begins_with_who_we_are_and_all_we_follow():
    state = Following({"tokenType": "Admin", "value": "k|1"})
    state.follow("tasks:list", b'{"done":false}')
    connect, authenticate, modify = sent(state.open())
    assert connect["type"] == "Connect"
    assert connect["connectionCount"] == 0
    assert "maxObservedTimestamp" not in connect
    assert authenticate["tokenType"] == "Admin"
    assert authenticate["baseVersion"] == 0
    assert (modify["baseVersion"], modify["newVersion"]) == (0, 1)
    assert modify["modifications"] == [
        {
            "type": "Add",
            "queryId": 0,
            "udfPath": "tasks:list",
            "args": [{"done": False}],
        }
    ]


def test_values_and_failures_come_out_with_their_timestamp():
    state = Following()
    state.follow("a:b", b"{}")
    state.open()
    failed = {"type": "QueryFailed", "queryId": 0, "errorMessage": "no", "logLines": []}
    (one,) = state.receive(
        transition(version(0, ZERO_TS), version(1, T1), updated(0, [1.5]))
    )
    (two,) = state.receive(transition(version(1, T1), version(1, T2), failed))
    assert isinstance(one.change, QueryUpdated)
    assert (bytes(one.change.value), one.ts) == (b"[1.5]", T1)
    assert isinstance(two.change, QueryFailed)


def test_f1_a_transition_from_elsewhere_breaks_the_connection():
    state = Following()
    state.open()
    assert isinstance(state.receive(transition(version(3, T1), version(4, T1))), Broken)
    assert isinstance(state.receive("{"), Broken)


def test_f2_a_removed_query_is_never_heard_of():
    state = Following()
    query_id, _ = state.follow("a:b", b"{}")
    state.open()
    removal = json.loads(state.unfollow(query_id))
    assert removal["modifications"] == [{"type": "Remove", "queryId": query_id}]
    assert state.unfollow(query_id) is None
    late = transition(version(0, ZERO_TS), version(1, T1), updated(query_id, 1.0))
    assert state.receive(late) == []


def test_versions_begin_anew_and_ids_stay_when_it_reconnects():
    state = Following()
    state.follow("a:b", b"{}")
    state.open()
    state.receive(transition(version(0, ZERO_TS), version(1, T1), updated(0, 1.0)))
    state.follow("a:c", b"{}")
    connect, modify = sent(state.open("closed"))
    assert connect["connectionCount"] == 1
    assert connect["maxObservedTimestamp"] == T1
    assert connect["lastCloseReason"] == "closed"
    assert [m["queryId"] for m in modify["modifications"]] == [0, 1]
    (update,) = state.receive(
        transition(version(0, ZERO_TS), version(1, T2), updated(1, 2.0))
    )
    assert update.query_id == 1


def test_an_auth_error_ends_it_and_a_ping_says_nothing():
    state = Following()
    assert state.receive('{"type":"Ping"}') == []
    assert state.receive('{"type":"AuthError","error":"bad"}') == Broken(
        "bad", final=True
    )
    assert state.receive('{"type":"FatalError","error":"x"}') == Broken("x")
