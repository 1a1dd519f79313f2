"""Entries as clients get them: what the official command line reads of them."""

from __future__ import annotations

from convexlab import knobs
from convexlab.functions.logs.entries import Completion, Origin, Progress
from convexlab.functions.logs.wire import entry_json
from convexlab.functions.run_log import LogLines

ORIGIN = Origin("Action", "ai:run", "4711", "a-2", "a-1")
ENDED = Completion(
    1_700_000_000_500.25,
    ORIGIN,
    0.25,
    "Action",
    "user",
    log_lines=("[LOG] 'a'", "[WARN] [b] 'c'"),
    told_lines=1,
    error="Uncaught ValueError: x",
    return_bytes=4,
    documents_read=1,
    bytes_read=2,
    documents_written=3,
    bytes_written=4,
)
PRINTED = Progress(1_700_000_000_000.0, ORIGIN, ("[LOG] 'a'",))


def test_times_are_seconds_and_those_of_lines_milliseconds():
    said = entry_json(ENDED, in_parts=True)
    assert said["timestamp"] == 1_700_000_000.50025
    assert said["executionTime"] == 0.25
    assert said["executionTimestamp"] == 1_700_000_000.25025
    assert said["logLines"] == [
        {
            "messages": ["[b] 'c'"],
            "level": "WARN",
            "timestamp": 1_700_000_000_500,
            "isTruncated": False,
        }
    ]


def test_what_went_ahead_is_not_told_again_unless_asked_for():
    assert entry_json(ENDED, in_parts=False)["logLines"] == ["[WARN] [b] 'c'"]
    everything = entry_json(ENDED, in_parts=False, with_told=True)
    assert everything["logLines"] == list(ENDED.log_lines)
    assert entry_json(PRINTED, in_parts=False) == {
        "kind": "Progress",
        "udfType": "Action",
        "componentPath": None,
        "identifier": "ai:run",
        "timestamp": 1_700_000_000.0,
        "logLines": ["[LOG] 'a'"],
        "requestId": "4711",
        "executionId": "a-2",
    }


def test_who_called_and_what_was_used_is_said():
    said = entry_json(ENDED, in_parts=True)
    assert (said["caller"], said["identityType"]) == ("Action", "user")
    assert (said["requestId"], said["parentExecutionId"]) == ("4711", "a-1")
    assert (said["error"], said["success"]) == ("Uncaught ValueError: x", None)
    usage = said["usageStats"]
    assert usage["databaseReadDocuments"] == 1
    assert usage["databaseReadBytes"] == 2
    assert usage["databaseWriteDocuments"] == 3
    assert usage["databaseWriteBytes"] == 4
    assert len(usage) == 17
    assert said["returnBytes"] == 4


def test_an_http_action_says_its_status():
    route = Origin("HttpAction", "GET /a/*")
    ended = Completion(1.0, route, 0.1, "HttpEndpoint", status=404)
    assert entry_json(ended, in_parts=True)["success"] == {"status": "404"}


def test_a_line_that_was_cut_says_so_apart():
    log = LogLines()
    log.add_text("LOG", "x" * knobs.MAX_LOG_LINE_BYTES)
    entry = Progress(1.0, ORIGIN, tuple(log.lines))
    (line,) = entry_json(entry, in_parts=True)["logLines"]
    assert line["isTruncated"]
    assert set(line["messages"][0]) == {"x"}
    assert log.lines[0].endswith("x (truncated due to length)")
