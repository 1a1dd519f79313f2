"""A writer that runs what is due, to be killed at a fault point.

Run as `python -m tests.functions.processes.runs_due_until_fault FOLDER POINT TIMES`:
says each entry that it was asked to run, and what it was told.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.functions.processes.test_mutations import MODULE, due, later, verdict
from tests.functions.processes.writes_until_fault import Fault
from tests.functions.processes.writing import Writing


def main(folder: Path, point: str, times: int) -> None:
    fault = Fault(point, times)
    writing = Writing(folder, fault=fault, module=MODULE)
    entries = [
        *later(writing, count=times + 5),
        *later(writing, name="m:act", count=times + 5),
    ]
    half = len(entries) // 2
    fault.is_armed = True
    for mutation, action in zip(entries[:half], entries[half:], strict=True):
        for entry in (mutation, action):
            print("asks", entry, flush=True)
            reply = writing.ask(due(writing, entry, call_id=f"g-{entry}"))
            # N.B. one text: a line that is printed in parts may be cut short by the end.
            print(f"told {entry} {reply.ts} {verdict(reply).path}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
