"""A writer to be killed at a fault point: says each call that it was told of.

Run as `python -m tests.functions.processes.writes_until_fault FOLDER POINT TIMES`:
at the passing of the point after so many, the process is gone.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path

from tests.functions.processes.writing import Writing


class Fault:
    """Kills this process."""

    def __init__(self, point: str, times: int) -> None:
        self.is_armed = False
        self._point = point
        self._left = times

    def __call__(self, point: str) -> None:
        if self.is_armed and point == self._point:
            self._left -= 1
            if self._left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, point: str, times: int) -> None:
    fault = Fault(point, times)
    writing = Writing(folder, fault=fault)
    fault.is_armed = True
    for number in count():
        name = f"s:1:{number}"
        print(f"asks {name}", flush=True)
        reply = writing.ask(writing.mutation("m:add", text=name, call_id=name))
        # N.B. one text: a line that is printed in parts may be cut short by the end.
        print(f"told {name} {reply.ts} {writing.store.wal_bytes}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
