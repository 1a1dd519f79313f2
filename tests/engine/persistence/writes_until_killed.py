"""A writer to be killed: says each call after its group is durable.

Run as `python writes_until_killed.py FOLDER ROUND`.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from convexlab.documents.ids import decode_id
from convexlab.engine.backfill import work_slice
from convexlab.engine.committer import Committer
from convexlab.engine.definitions import create_index
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.engine.retention import Retention, trim_slice


def main(folder: Path, number: int) -> None:
    committer = Committer(SqlitePersistence(folder))
    tx = committer.begin(system=True)
    create_index(tx, "t", f"by_n_{number}", ["n"])
    committer.accept(tx.finish())
    ids: list[str] = []
    for step in range(1_000_000):
        for call in range(1 + step % 7):
            tx = committer.begin()
            call_id = f"s:{number}:{step}:{call}"
            ids.append(tx.insert("t", {"call": call_id, "n": step}))
            if len(ids) > 3:
                changed = ids[-3]
                document = tx.get(*decode_id(changed))
                assert document is not None
                tx.patch(changed, {"n": document["n"] + 1})
            if step % 5 == 0 and len(ids) > 10:
                tx.delete(ids.pop(0))
            committer.accept(tx.finish(), call_id=call_id, outcome=call_id.encode())
        work_slice(committer)
        group = committer.apply()
        assert group is not None
        flush = threading.Thread(target=committer.flush, args=[group])
        flush.start()
        flush.join()
        committer.durable(group)
        for commit in group.commits:
            if commit.call_id:
                print(commit.call_id, commit.ts, flush=True)
        trim_slice(committer, Retention(log_seconds=1, history_seconds=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
