"""The log's file: bounded, and whatever is broken in it is passed over."""

from __future__ import annotations

import stat

import pytest

from convexlab.functions.logs.entries import Origin, Progress, encode_entries, entry_of
from convexlab.functions.logs.file import LogFile

ORIGIN = Origin("Query", "m:f")


def lines(*places: float) -> bytes:
    return encode_entries([Progress(at, ORIGIN, ("[LOG] 1",)) for at in places])


def places(file: LogFile) -> list[float]:
    found = [entry_of(line) for line in file.lines()]
    return [entry.at_ms for entry in found if entry is not None]


@pytest.fixture
def file(tmp_path):
    one = LogFile(tmp_path)
    yield one
    one.close()


def test_nothing_is_made_before_something_is_written(file, tmp_path):
    assert (file.lines(), file.last_place()) == ([], 0.0)
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_there_after_a_restart(file, tmp_path):
    file.append(lines(1.0, 2.0))
    file.close()
    again = LogFile(tmp_path)
    again.append(lines(3.0))
    assert places(again) == [1.0, 2.0, 3.0]
    assert LogFile(tmp_path).last_place() == 3.0
    again.close()


def test_only_its_owner_reads_it(file):
    file.append(lines(1.0))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kept", [1, 20, -1])
def test_l1_a_torn_line_is_passed_over(file, tmp_path, kept):
    """Whatever is left of it: the next line is one of its own."""
    file.append(lines(1.0))
    file.close()
    with file.path.open("ab") as torn:
        torn.write(lines(2.0)[:kept])
    again = LogFile(tmp_path)
    was_whole = kept == -1
    assert again.last_place() == (2.0 if was_whole else 1.0)
    again.append(lines(3.0))
    assert places(again) == ([1.0, 2.0, 3.0] if was_whole else [1.0, 3.0])
    again.close()


def test_l1_after_a_write_that_stopped_short_the_next_one_is_whole(file, monkeypatch):
    file.append(lines(1.0))
    whole = lines(2.0)

    def full(fd, data):
        if len(data) < len(whole):
            raise OSError(28, "No space left on device")
        return write(fd, data[:10])

    write = __import__("os").write
    with monkeypatch.context() as patched:
        patched.setattr("convexlab.functions.logs.file.os.write", full)
        with pytest.raises(OSError, match="No space"):
            file.append(whole)
    file.append(lines(3.0))
    assert places(file) == [1.0, 3.0]


def test_between_half_and_all_of_what_may_be_kept_is_there(tmp_path):
    one = len(lines(1.0))
    file = LogFile(tmp_path, most_bytes=10 * one)
    for at in range(1, 100):
        file.append(lines(float(at)))
        kept = places(file)
        assert kept[-1] == at
        assert kept == [float(n) for n in range(at + 1 - len(kept), at + 1)]
        assert len(kept) <= 10
        assert len(kept) >= min(at, 5)
    assert {path.name for path in tmp_path.iterdir()} == {
        "logs.jsonl",
        "logs.older.jsonl",
    }
    file.close()
