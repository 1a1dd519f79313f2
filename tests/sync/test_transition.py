"""What a client is told has the fields that the strictest client needs."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from convexlab import knobs
from convexlab.protocol.versions import StateVersion
from convexlab.sync.backend import ActionRun, MutationRun, QueryRun, RunError
from convexlab.sync.transition import (
    action_response,
    mutation_response,
    payload_of,
    query_removed,
    refusal,
    request_id,
    transition,
)

RUN = QueryRun(5, b"[1.0]", log_lines=("[LOG] 'x'",), journal="j")


def test_a_value_is_told_with_its_logs_and_journal():
    assert json.loads(b"".join(payload_of(RUN, "r").modification(4))) == {
        "type": "QueryUpdated",
        "queryId": 4,
        "value": [1.0],
        "logLines": ["[LOG] 'x'"],
        "journal": "j",
    }


@pytest.mark.parametrize(
    ("data", "told"), [(None, ...), (b"null", None), (b'{"a":1.0}', {"a": 1.0})]
)
def test_error_data_is_there_for_application_errors_only(data, told):
    payload = payload_of(QueryRun(5, error=RunError("boom", data)), "00ff")
    message = json.loads(b"".join(payload.modification(1)))
    assert message["type"] == "QueryFailed"
    assert message["errorMessage"] == "[Request ID: 00ff] Server Error\nboom"
    assert message["journal"] is None
    assert message.get("errorData", ...) == told


def test_payloads_are_the_same_when_clients_would_see_the_same():
    digest = payload_of(RUN, "r").digest
    assert payload_of(replace(RUN, ts=6), "other").digest == digest
    others = [payload_of(QueryRun(5, b"[1.0]"), "r"), refusal("no", "r")]
    assert len({digest, *(other.digest for other in others)}) == 3


def test_a_value_is_never_taken_for_an_error():
    """Though a value may be spelled as an error is."""
    error = refusal("no", "r")
    (text,) = error.parts
    value = payload_of(QueryRun(5, text), "r")
    assert value.digest != error.digest


def test_a_result_without_a_value_is_null():
    assert b'"value":null' in b"".join(payload_of(QueryRun(5), "r").modification(1))


def test_a_payload_says_about_how_large_it_is():
    assert payload_of(QueryRun(5, b"x" * 10_000), "r").size > 10_000


def test_a_transition_is_from_one_version_to_the_next():
    start, end = StateVersion(), StateVersion(1, 0, 1_700_000_000_000_000_000)
    message = json.loads(
        transition(start, end, [query_removed(2)], skew_ms=-12, server_ns=5)
    )
    assert message == {
        "type": "Transition",
        "startVersion": {"querySet": 0, "identity": 0, "ts": "AAAAAAAAAAA="},
        "endVersion": {"querySet": 1, "identity": 0, "ts": "AAAqNv6clxc="},
        "modifications": [{"type": "QueryRemoved", "queryId": 2}],
        "clientClockSkew": -12,
        "serverTs": 5,
    }
    assert "serverTs" not in json.loads(transition(start, end, []))
    several = [payload_of(RUN, "r").modification(n) for n in range(3)]
    told = json.loads(transition(start, end, several))["modifications"]
    assert [modification["queryId"] for modification in told] == [0, 1, 2]


def test_a_transition_never_goes_back():
    with pytest.raises(AssertionError, match="behind"):
        transition(StateVersion(1, 0, 5), StateVersion(1, 0, 4), [])


def test_a_mutations_response_says_when():
    message = json.loads(mutation_response(3, MutationRun(0, b"1.0"), "r"))
    assert message == {
        "type": "MutationResponse",
        "requestId": 3,
        "success": True,
        "result": 1.0,
        "ts": "AAAAAAAAAAA=",
        "logLines": [],
    }


def test_a_failed_mutations_response_has_a_text_and_no_time():
    run = MutationRun(None, error=RunError("boom", b"7.0"), log_lines=("[LOG] 'x'",))
    message = json.loads(mutation_response(3, run, "r"))
    assert message["ts"] is None
    assert message["result"] == "[Request ID: r] Server Error\nboom"
    assert (message["errorData"], message["logLines"]) == (7.0, ["[LOG] 'x'"])


def test_an_actions_response_never_says_when():
    message = json.loads(action_response(3, ActionRun(None), "r"))
    assert message["result"] is None
    assert "ts" not in message
    assert not json.loads(action_response(3, ActionRun(error=RunError("x")), "r"))[
        "success"
    ]


def test_request_ids_repeat_for_the_same_request():
    assert request_id("s", 1) == request_id("s", 1) != request_id("s", 2)
    assert len(request_id("\ud800")) == 16


def test_sessions_that_go_the_same_way_share_the_text():
    payload, start, end = (
        payload_of(RUN, "r"),
        StateVersion(1, 0, 4),
        StateVersion(1, 0, 5),
    )

    def text(payload, query_id=0, start=start):
        return transition(start, end, [payload.modification(query_id)])

    assert text(payload) is text(payload)
    told = [text(payload), text(payload, 1), text(payload, start=StateVersion(1))]
    assert len({*told, text(payload_of(QueryRun(5), "r"))}) == 4
    assert text(payload, 1) == told[1], "what was asked in between is told aright"


def test_what_is_large_is_kept_by_nobody():
    large = payload_of(QueryRun(5, b'"' + b"x" * knobs.SHARED_TEXT_BYTES + b'"'), "r")
    start, end = StateVersion(1, 0, 4), StateVersion(1, 0, 5)
    one, two = (transition(start, end, [large.modification(0)]) for _ in range(2))
    assert one == two
    assert one is not two
