"""A session decides by the protocol's rules, without waiting for anything.

What it does over time is in `test_gateway.py`, where pages check every message.
"""

from __future__ import annotations

import json

import pytest

from convexlab import knobs
from convexlab.functions.cache import CachedResult
from convexlab.protocol.messages import decode
from convexlab.sync.backend import ActionRun, Caller, MutationRun, QueryRun
from convexlab.sync.session import ClientSession
from convexlab.sync.transition import payload_of
from convexlab.sync.work import Close, Pause, RaiseClock, Send, Start, Submit, Verify

NOW_NS = 1_795_335_531_000_000_000
UUID = "0f5c0000-0000-4000-8000-000000000001"


@pytest.fixture
def session():
    return ClientSession(ts=1_000, new_call_id=lambda: "g1", now_ns=lambda: NOW_NS)


def receive(session, kind, **fields):
    return session.receive(decode(json.dumps({"type": kind, **fields})))


def modify(session, base, new, *modifications):
    return receive(
        session,
        "ModifyQuerySet",
        baseVersion=base,
        newVersion=new,
        modifications=modifications,
    )


def add(query_id, path="m:f", **extra):
    return {"type": "Add", "queryId": query_id, "udfPath": path, **extra}


def only_close(works):
    (close,) = works
    assert isinstance(close, Close)
    return close


def land(session, ts):
    session.begin(ts)
    (send,) = session.finish()
    return json.loads(send.text)


def test_connect_is_not_answered(session):
    assert receive(session, "Connect", sessionId=UUID, clientTs=0) == []
    assert not session.wants_transition


def test_a_client_that_came_back_is_heard_out_first(session):
    assert receive(session, "Connect", sessionId=UUID, connectionCount=2) == [Pause()]
    modify(session, 0, 1)
    assert not session.wants_transition
    session.resumed()
    assert session.wants_transition


def test_a_timestamp_that_a_client_has_seen_raises_the_clock(session):
    works = receive(session, "Connect", maxObservedTimestamp="AAAqNv6clxc=")
    assert works == [RaiseClock(1_700_000_000_000_000_000)]


def test_a_timestamp_far_ahead_is_refused(session):
    close = only_close(receive(session, "Connect", maxObservedTimestamp="/////////38="))
    assert (close.code, close.reason.split(":")[0]) == (1011, "InternalServerError")


def test_a_session_is_named_by_a_uuid(session):
    fatal, close = receive(session, "Connect", sessionId="mine")
    assert json.loads(fatal.text)["type"] == "FatalError"
    assert close.code == 1005


@pytest.mark.parametrize(("base", "new"), [(1, 2), (0, 0)])
def test_a_query_set_from_another_version_closes_the_socket(session, base, new):
    close = only_close(modify(session, base, new))
    assert close.code == 1011
    assert close.reason.startswith("InternalServerError")


def test_adding_twice_or_removing_nothing_closes_the_socket(session):
    modify(session, 0, 1, add(0))
    assert only_close(modify(session, 1, 2, add(0))).code == 1011
    assert (
        only_close(modify(session, 2, 3, {"type": "Remove", "queryId": 9})).code == 1011
    )


def test_an_identity_from_another_version_closes_the_socket(session):
    works = receive(session, "Authenticate", baseVersion=1, tokenType="User", value="t")
    assert only_close(works).code == 1011


def test_a_token_is_verified_before_it_counts(session):
    works = receive(session, "Authenticate", baseVersion=0, tokenType="User", value="t")
    assert isinstance(works[0], Verify)
    assert not session.wants_transition
    session.authenticated(Caller(b"{}"))
    assert session.wants_transition
    assert land(session, 1_000)["endVersion"]["identity"] == 1


def test_signing_out_needs_no_verifying(session):
    assert receive(session, "Authenticate", baseVersion=0, tokenType="None") == []
    assert session.wants_transition


def test_a_refused_token_is_told_with_the_last_version_sent(session):
    session.authenticated(Caller())
    land(session, 1_000)
    send, close = session.refused("no")
    assert json.loads(send.text) == {
        "type": "AuthError",
        "error": "no",
        "baseVersion": 1,
        "authUpdateAttempted": True,
    }
    assert close == Close(1005)


def test_paths_arguments_and_journals_make_the_token(session):
    modify(session, 0, 1, add(0, "m.js:f", args=[{"b": 1, "a": 2}], journal="j"))
    token = session.queries[0].token
    assert (token.path, token.journal, token.admin) == ("m:f", "j", False)
    assert json.loads(token.args) == {"a": 2, "b": 1}
    assert token.args.index(b'"a"') < token.args.index(b'"b"')


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (add(0, "no such!"), "Could not find public function for 'no such!'."),
        (add(0, componentPath="other"), "in component 'other'"),
        (add(0, args=[{"$x": 1, "y": 2}]), "$x"),
        (
            add(0, args=[{"x": "y" * (17 << 20)}]),
            "too large (actual: 17.00 MiB, limit: 16 MiB)",
        ),
    ],
)
def test_a_query_that_cannot_be_asked_fails_by_itself(session, query, text):
    modify(session, 0, 1, query)
    (failed,) = land(session, 1_000)["modifications"]
    assert failed["type"] == "QueryFailed"
    assert text in failed["errorMessage"]


def test_the_root_component_may_be_named(session):
    modify(session, 0, 1, add(0, componentPath=""))
    assert session.queries[0].refused is None


def test_mutations_are_submitted_in_order_under_the_sessions_name(session):
    receive(session, "Connect", sessionId=UUID)
    works = [
        *receive(session, "Mutation", requestId=0, udfPath="m:f", args=[{"a": 1}]),
        *receive(session, "Mutation", requestId=1, udfPath="m"),
    ]
    calls = [work.call for work in works if isinstance(work, Submit)]
    assert [call.call_id for call in calls] == [f"{UUID}:0", f"{UUID}:1"]
    assert [call.path for call in calls] == ["m:f", "m:default"]
    with pytest.raises(AssertionError):
        session.answered(calls[1], MutationRun(2_000, b"null"))


def test_without_a_session_id_calls_are_named_here(session):
    (work,) = receive(session, "Mutation", requestId=0, udfPath="m:f")
    assert isinstance(work, Submit)
    assert work.call.call_id == "g1"


def test_actions_start_at_once_and_have_a_bound(session):
    for request in range(knobs.MAX_SESSION_CALLS):
        (work,) = receive(session, "Action", requestId=request, udfPath="m:f")
        assert isinstance(work, Start)
    assert (
        only_close(receive(session, "Action", requestId=9999, udfPath="m:f")).code
        == 1013
    )


def test_an_actions_response_waits_for_what_its_mutations_wrote(session):
    """The Transition after it covers them."""
    receive(session, "Connect")
    modify(session, 0, 1)
    receive(session, "Action", requestId=0, udfPath="m:f")
    session.begin(1_000)
    assert session.acted(0, ActionRun(b"1", ts=1_500)) == []
    landed, response = session.finish()
    assert json.loads(landed.text)["type"] == "Transition"
    assert json.loads(response.text)["type"] == "ActionResponse"
    assert session.wants_transition
    with pytest.raises(AssertionError, match="before"):
        session.begin(1_400)
    assert land(session, 1_500)["type"] == "Transition"


def test_an_actions_response_waits_for_nothing_else(session):
    receive(session, "Connect")
    modify(session, 0, 1)
    receive(session, "Action", requestId=0, udfPath="m:f")
    session.begin(1_000)
    (response,) = session.acted(0, ActionRun(b"1"))
    assert json.loads(response.text)["success"]


def test_an_action_of_a_clients_first_moment_back_may_be_a_repetition():
    now = [NOW_NS]

    def repeated(*, resends, count, after_seconds):
        now[0] = NOW_NS
        session = ClientSession(
            ts=1_000, new_call_id=str, now_ns=lambda: now[0], resends=resends
        )
        receive(session, "Connect", sessionId=UUID, connectionCount=count)
        now[0] += int(after_seconds * 1e9)
        (start,) = receive(session, "Action", requestId=0, udfPath="m:f")
        return start.is_repeated

    soon, late = knobs.RESEND_SECONDS / 2, knobs.RESEND_SECONDS * 2
    assert repeated(resends=True, count=1, after_seconds=soon)
    assert not repeated(resends=True, count=1, after_seconds=late)
    assert not repeated(resends=True, count=0, after_seconds=soon)
    assert not repeated(resends=False, count=1, after_seconds=soon)


def test_an_action_that_cannot_be_called_is_answered(session):
    (send,) = receive(session, "Action", requestId=0, udfPath="no such!")
    assert isinstance(send, Send)
    assert not json.loads(send.text)["success"]


def test_more_than_one_arguments_object_is_the_clients_bug(session):
    fatal, _ = receive(session, "Mutation", requestId=0, udfPath="m:f", args=[{}, {}])
    assert json.loads(fatal.text)["type"] == "FatalError"


def test_the_clocks_go_with_what_confirms_an_identity(session):
    receive(session, "Connect", clientTs=NOW_NS // 1_000_000 + 40)
    modify(session, 0, 1)
    first = land(session, 1_000)
    assert (first["clientClockSkew"], first["serverTs"]) == (40, NOW_NS)
    modify(session, 1, 2)
    assert "serverTs" not in land(session, 1_000)
    session.authenticated(Caller())
    assert land(session, 1_000)["clientClockSkew"] == 40


@pytest.mark.parametrize("clock", [1e308, -1e300, 9e15])
def test_a_clock_that_no_client_can_have_is_not_told_of(session, clock):
    receive(session, "Connect", clientTs=clock)
    modify(session, 0, 1)
    assert "clientClockSkew" not in land(session, 1_000)


def test_pythons_client_has_no_clock(session):
    receive(session, "Connect", clientTs=0)
    modify(session, 0, 1)
    assert "clientClockSkew" not in land(session, 1_000)


def test_a_flight_never_takes_off_before_an_answered_commit(session):
    (work,) = receive(session, "Mutation", requestId=0, udfPath="m:f")
    session.answered(work.call, MutationRun(2_000, b"null"))
    with pytest.raises(AssertionError):
        session.begin(1_999)
    session.begin(2_000)


LATE = Caller(b'{"subject":"ann"}', expires=NOW_NS / 1e9)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Mutation", {"requestId": 0, "udfPath": "m:f", "args": [{}]}),
        ("Action", {"requestId": 0, "udfPath": "m:f", "args": [{}]}),
        ("ModifyQuerySet", {"baseVersion": 0, "newVersion": 1, "modifications": []}),
    ],
)
def test_nothing_is_done_in_the_name_of_a_token_that_has_ended(session, kind, fields):
    session.authenticated(LATE)
    land(session, 1_000)
    send, close = receive(session, kind, **fields)
    message = json.loads(send.text)
    assert message["type"] == "AuthError"
    assert not message["authUpdateAttempted"]
    assert message["baseVersion"] == 1
    assert isinstance(close, Close)


def test_a_token_may_be_renewed_after_its_end(session):
    session.authenticated(LATE)
    (verify,) = receive(
        session, "Authenticate", baseVersion=1, tokenType="User", value="t"
    )
    assert isinstance(verify, Verify)
    session.authenticated(Caller(LATE.identity, expires=NOW_NS / 1e9 + 1))
    assert not session.has_expired


def test_what_is_known_is_told_as_a_flight_would_land(session):
    """In one step, and with all that else there is to tell."""
    other = ClientSession(ts=1_000, new_call_id=lambda: "g1", now_ns=lambda: NOW_NS)
    payload = payload_of(QueryRun(1_000, b"1.0"), "r")
    told = []
    for one in (session, other):
        modify(one, 0, 1, add(0), add(1, "no function"), add(2))
        modify(one, 1, 2, {"type": "Remove", "queryId": 2})
        (query,) = [query for query in one.stale if query.refused is None]
        result = CachedResult(query.token, payload, "j", 1_000)
        if one is session:
            (send,) = one.tell(1_000, [(query, result, payload)])
        else:
            one.begin(1_000)
            one.provide(query, result, payload)
            (send,) = one.finish()
        told.append(json.loads(send.text))
        assert (query.result, query.token.journal) == (result, "j")
        assert not one.wants_transition
        one.invalidate(query)
        assert one.tell(1_500, [(query, result, payload)]) == [], "it is told already"
        assert one.current.ts == 1_000
    assert told[0] == told[1]
