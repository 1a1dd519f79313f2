"""What is kept of a run, and as a line of the file."""

from __future__ import annotations

from convexlab.functions.logs.entries import (
    Completion,
    Origin,
    Progress,
    encode_entries,
    entry_of,
    place_of,
    size_of,
)

ORIGIN = Origin("Mutation", "tasks:create", "4711", "a-1")
ENDED = Completion(
    1_700_000_000_000.125,
    ORIGIN,
    0.25,
    "SyncWorker",
    log_lines=("[LOG] 'a\r\n\u2028b'",),
    error="Uncaught ValueError: é",
    documents_written=3,
)
PRINTED = Progress(1_700_000_000_000.0, ORIGIN, ("[LOG] 1",))


def test_an_entry_is_one_line_and_comes_back_from_it():
    lines = encode_entries([PRINTED, ENDED]).split(b"\n")
    assert lines.pop() == b""
    assert [entry_of(line) for line in lines] == [PRINTED, ENDED]
    assert [place_of(line) for line in lines] == [PRINTED.at_ms, ENDED.at_ms]


def test_a_broken_line_is_no_entry():
    whole = encode_entries([ENDED])
    for line in (whole[:40], b"", b"\0\0", b"[]", b'{"kind":"Other","atMs":1}'):
        assert entry_of(line) is None
    assert place_of(whole[:10]) is None


def test_what_is_printed_and_said_counts():
    assert size_of(ENDED) - size_of(PRINTED) == len(
        ENDED.log_lines[0] + str(ENDED.error)
    ) - len(PRINTED.log_lines[0])
