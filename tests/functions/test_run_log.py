from __future__ import annotations

from convexlab import knobs
from convexlab.functions.run_log import LogLines


def test_texts_are_quoted_and_parts_joined() -> None:
    log = LogLines()
    log.add("LOG", "a", 1, None, {"b": "c"})
    log.add("WARN", "it's")
    assert log.lines == ["[LOG] 'a' 1 None {'b': 'c'}", '[WARN] "it\'s"']


def test_the_overflow_is_said_once() -> None:
    log = LogLines()
    for i in range(knobs.MAX_LOG_LINES + 10):
        log.add("LOG", i)
    assert len(log.lines) == knobs.MAX_LOG_LINES + 1
    assert log.lines[-1].startswith("[ERROR] Log overflow (maximum 256).")


def test_each_line_is_heard_as_it_is_kept() -> None:
    log, heard = LogLines(), list[str]()
    log.add("LOG", "before")
    log.hear = heard.append
    for i in range(knobs.MAX_LOG_LINES + 10):
        log.add("LOG", "x" * knobs.MAX_LOG_LINE_BYTES if i == 0 else i)
    assert heard == log.lines[1:]
    assert heard[0].endswith("x (truncated due to length)")
