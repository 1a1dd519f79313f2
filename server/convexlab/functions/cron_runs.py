"""Cron jobs: the documents of `_cron_jobs`, from run to run.

    pending ──▶ inProgress ──▶ pending, at the next slot
                (an action)

A document says what was declared (`name`, `schedule`, `function`, `args`), when it
is next due (`nextTime`), and how the last runs went (`lastRuns`, newest first).

Invariants
    C1  A cron runs at most once at a time, and for each of its slots at most once.
    C2  Slots that go by unserved are skipped, never made up for: after a long
        sleep an overdue cron runs once, and then when it is next due.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from convexlab import knobs
from convexlab.documents.encoding import from_stored
from convexlab.documents.ids import decode_id, encode_id
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.system_tables import (
    CRON_JOBS,
    CRON_JOBS_BY_NAME,
    CRON_JOBS_BY_STATE,
)
from convexlab.errors import NotAllowed
from convexlab.functions.scheduled import IN_PROGRESS, INTERRUPTED, Ended, Task
from convexlab.functions.schedules import Every, Schedule, next_ms, skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convexlab.engine.transaction import Transaction
    from convexlab.functions.crons import CronSpec

TABLE: Final = "_cron_jobs"


def splay_of(spec: CronSpec) -> int:
    """How many seconds after the clock's slot a cron runs: chance, and always the same.

    So not all crons of a deployment, or of all deployments, run in one moment.
    """
    drawn = int.from_bytes(hashlib.blake2b(spec.name.encode(), digest_size=8).digest())
    return drawn % (3600 if spec.is_anywhere_in_its_hour else 60)


def no_splay(_: CronSpec) -> int:
    """On the dot, as tests want it."""
    return 0


# -- at a push ----------------------------------------------------------------------


def switch(
    tx: Transaction,
    specs: Sequence[CronSpec],
    *,
    splay: Callable[[CronSpec], int] = splay_of,
) -> None:
    """Let these be the crons; one whose schedule did not change keeps its next run.

    Args:
        tx: the push's.
        specs: what the module `crons` declares.
        splay: how many seconds after the clock's slot each runs.
    """
    there = {
        revision.document["name"]: (
            encode_id(CRON_JOBS, revision.id),
            revision.document,
        )
        for _, revision in tx.rows(CRON_JOBS_BY_NAME, EVERYTHING)
    }
    with tx.as_system():
        for spec in specs:
            known = there.pop(spec.name, None)
            if known is None:
                tx.insert_plain(TABLE, _new(tx, spec, splay(spec)))
            else:
                tx.patch(known[0], _changed(tx, known[1], spec, splay(spec)))
        for entry, _ in there.values():
            tx.delete(entry)


def _declared(spec: CronSpec, splay_seconds: int) -> dict[str, Any]:
    return {
        "name": spec.name,
        "schedule": msgspec.to_builtins(spec.schedule),
        "splaySeconds": 0 if isinstance(spec.schedule, Every) else splay_seconds,
        "function": spec.function,
        "args": [from_stored(bytes(spec.args))],
    }


def _new(tx: Transaction, spec: CronSpec, splay_seconds: int) -> dict[str, Any]:
    document = _declared(spec, splay_seconds)
    return document | {
        "state": {"kind": "pending"},
        "nextTime": _first_ms(tx, document),
        "lastRuns": [],
    }


def _first_ms(tx: Transaction, document: dict[str, Any]) -> float:
    """An interval begins now; the clock's slots come when they come."""
    now_ms = float(tx.now_ms)
    schedule = _schedule(document)
    if isinstance(schedule, Every):
        return now_ms
    return next_ms(schedule, now_ms, splay_seconds=document["splaySeconds"])


def _changed(
    tx: Transaction, before: dict[str, Any], spec: CronSpec, splay_seconds: int
) -> dict[str, Any]:
    after = _declared(spec, splay_seconds)
    is_soon = before["nextTime"] - tx.now_ms <= knobs.CRON_SOON_SECONDS * 1000
    is_running = before["state"]["kind"] == "inProgress"
    if before["schedule"] == after["schedule"] or is_soon or is_running:
        return after
    last = next(iter(before["lastRuns"]), None)
    if last is None or not isinstance(spec.schedule, Every):
        return after | {"nextTime": _first_ms(tx, after)}
    slot_ms = next_ms(spec.schedule, last["slotTime"])
    return after | {"nextTime": max(slot_ms, float(tx.now_ms))}


# -- at a run -----------------------------------------------------------------------


def function_of(document: dict[str, Any]) -> str:
    """The function that a cron runs."""
    function: str = document["function"]
    return function


def hurry(tx: Transaction, entry: str) -> None:
    """Let a cron be due now, and afterwards when it would have been.

    Raises:
        NotAllowed: it runs at this moment, or has been removed.
    """
    document = _document(tx, entry)
    if document is None or document["state"]["kind"] != "pending":
        raise NotAllowed(f"The cron job {entry} is not waiting for its time.")
    _write(tx, entry, {"nextTime": float(tx.now_ms)})


def begin(tx: Transaction, entry: str, slot_ms: float) -> Task | None:
    """Let a cron run for a slot; None if it does already, or the slot is another: C1."""
    document = _document(tx, entry)
    if document is None or document["state"]["kind"] != "pending":
        return None
    if document["nextTime"] != slot_ms:
        return None
    _write(tx, entry, {"state": {"kind": "inProgress"}})
    return Task(document["function"], document["args"][0])


def complete(tx: Transaction, entry: str, ended: Ended) -> None:
    """A cron's run is over: note how it went, and when the next one is due: C2.

    Args:
        tx: the mutation's own transaction if it went well; else one of its own.
        entry: which; one that a push has removed meanwhile is forgotten.
        ended: how.
    """
    document = _document(tx, entry)
    if document is None:
        return
    slot_ms = document["nextTime"]
    count, following_ms = skipped(
        _schedule(document),
        slot_ms,
        tx.now_ns / 1e6,
        splay_seconds=document["splaySeconds"],
    )
    runs = [_run(tx, slot_ms, ended, count), *document["lastRuns"]]
    _write(
        tx,
        entry,
        {
            "state": {"kind": "pending"},
            "nextTime": following_ms,
            "lastRuns": runs[: knobs.CRON_RUNS_KEPT],
        },
    )


def interrupt(tx: Transaction) -> int:
    """Fail the runs that an earlier life of the deployment left in progress.

    Returns:
        How many there were.
    """
    left = [
        encode_id(CRON_JOBS, revision.id)
        for _, revision in tx.rows(CRON_JOBS_BY_STATE, IN_PROGRESS)
    ]
    for entry in left:
        complete(tx, entry, Ended(INTERRUPTED))
    return len(left)


def _run(
    tx: Transaction, slot_ms: float, ended: Ended, skipped_slots: int
) -> dict[str, Any]:
    """One run as `lastRuns` tells of it."""
    lines = [line[: knobs.CRON_LOG_CHARS] for line in ended.log_lines]
    lines = lines[: knobs.CRON_LOG_LINES]
    if skipped_slots:
        times = "once" if skipped_slots == 1 else f"{skipped_slots} times"
        lines.append(f"[WARN] It was due {times} more meanwhile, which is skipped.")
    run = {
        "slotTime": slot_ms,
        "completedTime": tx.now_ns / 1e6,
        "state": {"kind": "success"},
        "logLines": lines,
    }
    if ended.error is not None:
        return run | {"state": {"kind": "failed", "error": ended.error}}
    if ended.value is not None:
        run["result"] = ended.value[: knobs.CRON_LOG_CHARS].decode(errors="ignore")
    return run


def _schedule(document: dict[str, Any]) -> Schedule:
    schedule: Schedule = msgspec.convert(document["schedule"], Schedule)
    return schedule


def _document(tx: Transaction, entry: str) -> dict[str, Any] | None:
    revision = tx.revision(*decode_id(entry))
    return None if revision is None else revision.document


def _write(tx: Transaction, entry: str, fields: dict[str, Any]) -> None:
    with tx.as_system():
        tx.patch(entry, fields)
