"""`convexlab logs`, on a real deployment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

SOURCE = """from convexlab import mutation

@mutation
def note(ctx, text: str):
    print(text)
    if text == "bad":
        raise ValueError("no good")
"""


def lines(said: str) -> list[str]:
    """Without their times."""
    return [line[20:] for line in said.splitlines()]


def test_what_there_is_is_shown_and_what_comes_is_followed(convexlab, project):
    functions = project / "logged"
    functions.mkdir()
    (functions / "notes.py").write_text(SOURCE)
    convexlab("dev", "logged", "--once")
    for text in ("one", "two"):
        convexlab("run", "notes:note", json.dumps({"text": text}))
    convexlab("run", "notes:note", '{"text": "bad"}', status=1)

    of = ("logs", "--no-follow", "--function", "notes")
    said = lines(convexlab(*of))
    name = "[CONVEX M(notes:note)]"
    assert said[:3] == [f"{name} [LOG] '{text}'" for text in ("one", "two", "bad")]
    assert said[3].startswith(f"{name} [Request ID: ")
    assert said[3].endswith("] Uncaught ValueError: no good")
    assert lines(convexlab(*of, "--history", "2"))[0] == said[1]
    assert convexlab(*of, "--history", "0") == ""
    assert lines(convexlab(*of, "--failed"))[0] == said[2]
    succeeded = lines(convexlab(*of, "--success", "--text", "two"))
    assert succeeded[1].startswith(f"{name} Function executed in ")
    (entry,) = map(json.loads, convexlab(*of, "--jsonl", "--text", "one").splitlines())
    assert entry["logLines"][0]["messages"] == ["'one'"]

    with subprocess.Popen(
        [sys.executable, "-m", "convexlab", "logs", "--history", "1"],
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ, PYTHONUNBUFFERED="1"),
    ) as following:
        assert following.stdout is not None
        while "no good" not in (line := following.stdout.readline()):
            assert line, "it ended"
        convexlab("run", "notes:note", '{"text": "three"}')
        while "'three'" not in (line := following.stdout.readline()):
            assert line, "it ended"
        following.send_signal(signal.SIGINT)
        assert following.wait() == 0


def test_what_cannot_be_asked_for_is_refused(convexlab):
    assert "is not one of" in convexlab("logs", "--level", "loud", status=2)
