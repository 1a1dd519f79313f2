from __future__ import annotations

import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from convexlab.documents.bodies import plain_text, to_text
from convexlab.documents.ids import decode_id
from convexlab.engine.audit import audit
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.sqlite import SqlitePersistence, open_reader
from convexlab.engine.persistence.sqlite_bulk import BULK_DOCUMENTS
from convexlab.engine.retention import Retention, trim_slice
from convexlab.engine.snapshot import newest_snapshot
from convexlab.errors import InternalError, Unavailable
from tests import full_disk

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent


def insert(committer: Committer, count: int) -> list[str]:
    tx = committer.begin()
    ids = tx.insert_many("t", [{"n": n} for n in range(count)])
    committer.accept(tx.finish())
    return ids


def test_a_store_opens_again_as_it_was(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, 10)
    committer.settle_all()
    store.close()
    store = SqlitePersistence(tmp_path)
    again = Committer(store)
    assert again.ts == committer.ts
    insert(again, 5)
    again.settle_all()
    audit(store)
    store.check()
    with store.snapshot() as snapshot:
        assert snapshot.count(10001 << 16) == 15
    store.close()


def test_a_group_that_was_only_applied_is_not_there(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, 10)
    assert committer.apply() is not None
    store.close()
    store = SqlitePersistence(tmp_path)
    assert Committer(store).catalog.table("t") is None
    store.close()


def test_documents_are_readable_with_any_tool(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, 3)
    committer.settle_all()
    plain = apsw.Connection(str(tmp_path / "store.sqlite3"))
    rows = plain.execute(
        "SELECT json_extract(body, '$.n'), typeof(body) FROM documents"
        " WHERE table_id = 10001"
    ).fetchall()
    assert rows == [(0, "text"), (1, "text"), (2, "text")]
    plain.close()
    store.close()


def test_a_newer_format_is_refused(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    store.close()
    plain = apsw.Connection(str(tmp_path / "store.sqlite3"))
    plain.execute("UPDATE meta SET format = 99")
    plain.close()
    with pytest.raises(InternalError, match="format 99"):
        SqlitePersistence(tmp_path)
    with pytest.raises(InternalError, match="format 99"):
        open_reader(tmp_path)


VECTORS = [[n / 7 + m for n in range(70)] for m in range(3)]


# Of formats before this: what they had of a document that has a body now.
TEXTS: dict[int, Callable[[bytes], bytes]] = {2: plain_text, 3: to_text}


def made_before(folder: Path, form: int) -> list[str]:
    """A store with three documents and a superseded one, as an older format has them."""
    store = SqlitePersistence(folder)
    committer = Committer(store)
    tx = committer.begin()
    ids = tx.insert_many("t", [{"e": vector} for vector in VECTORS])
    committer.accept(tx.finish())
    tx = committer.begin()
    tx.patch(ids[0], {"n": 1})
    committer.accept(tx.finish())
    committer.settle_all()
    store.close()
    plain = apsw.Connection(str(folder / "store.sqlite3"))
    for table in ("documents", "history"):
        found = plain.execute(f"SELECT row, body FROM {table}").fetchall()
        assert any(b"$f64" in body for _, body in found if isinstance(body, bytes))
        for row, body in found:
            if isinstance(body, bytes):
                text = TEXTS[form](body).decode()
                plain.execute(f"UPDATE {table} SET body = ? WHERE row = ?", (text, row))
    plain.execute("UPDATE meta SET format = ?", (form,))
    plain.close()
    return ids


def vectors(committer: Committer, ids: list[str]) -> list[Any]:
    tx = committer.begin()
    found = [tx.get(*decode_id(id_)) for id_ in ids]
    return [document["e"] for document in found if document]


@pytest.mark.parametrize("form", TEXTS)
def test_a_store_of_a_format_before_is_gone_on_with(tmp_path: Path, form: int):
    ids = made_before(tmp_path, form)
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    assert vectors(committer, ids) == VECTORS
    tx = committer.begin()
    tx.replace(ids[1], {"e": VECTORS[1]})
    assert not tx.finish().write_set  # it is as it was
    tx = committer.begin()
    tx.patch(ids[1], {"e": VECTORS[2]})
    committer.accept(tx.finish())
    committer.settle_all()
    assert vectors(committer, ids) == [VECTORS[0], VECTORS[2], VECTORS[2]]
    audit(store)
    reader = open_reader(tmp_path)
    with reader.snapshot() as snapshot:
        table, internal_id = 10001, decode_id(ids[0])[1]
        revisions = [r.document for r, _ in snapshot.revisions(table, internal_id)]
        assert [document.get("n") for document in revisions] == [None, 1]
        assert [document["e"] for document in revisions] == [VECTORS[0]] * 2
    reader.close()
    store.close()


@pytest.mark.parametrize("form", TEXTS)
def test_a_program_of_before_would_refuse_the_store(tmp_path: Path, form: int):
    made_before(tmp_path, form)
    SqlitePersistence(tmp_path).close()
    plain = apsw.Connection(str(tmp_path / "store.sqlite3"))
    assert plain.execute("SELECT format FROM meta").fetchall() == [(4,)]
    plain.close()


@pytest.mark.parametrize("count", [1, BULK_DOCUMENTS])
def test_what_has_numbers_behind_its_text_is_bytes(tmp_path: Path, count: int):
    """A row at a time and many at once, new and changed and superseded."""
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    tx = committer.begin()
    ids = tx.insert_many("t", [{"e": VECTORS[0]}] * count + [{"n": 1}] * count)
    committer.accept(tx.finish())
    tx = committer.begin()
    tx.patch(ids[0], {"e": VECTORS[1]})
    tx.patch(ids[-1], {"n": 2})
    committer.accept(tx.finish())
    committer.settle_all()
    plain = apsw.Connection(str(tmp_path / "store.sqlite3"))
    types = "SELECT typeof(body), count(*) FROM {} WHERE table_id = 10001 GROUP BY 1"
    found = [
        plain.execute(types.format(table)).fetchall()
        for table in ("documents", "history")
    ]
    assert found == [[("blob", count), ("text", count)], [("blob", 1), ("text", 1)]]
    plain.close()
    assert vectors(committer, ids[:1]) == VECTORS[1:2]
    audit(store)
    store.check()
    store.close()


def test_what_is_as_it_was_in_the_end_is_not_written(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    tx = committer.begin()
    (id_,) = tx.insert_many("t", [{"e": VECTORS[0]}])
    committer.accept(tx.finish())
    tx = committer.begin()
    tx.patch(id_, {"e": VECTORS[1]})
    tx.patch(id_, {"e": list(VECTORS[0])})
    assert not tx.finish().write_set
    store.close()


def test_fault_points_are_passed_in_order(tmp_path: Path):
    passed: list[str] = []
    store = SqlitePersistence(tmp_path, fault=passed.append)
    committer = Committer(store)
    insert(committer, 1)
    committer.settle_all()
    assert passed == ["persistence.applied", "persistence.flushed"]
    store.close()


def test_a_group_that_fails_to_apply_can_be_applied_again(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, 1)
    store._write.execute("ALTER TABLE calls RENAME TO elsewhere")
    tx = committer.begin()
    tx.insert("t", {})
    committer.accept(tx.finish(), call_id="x")
    with pytest.raises(apsw.SQLError):
        committer.apply()
    store._write.execute("ALTER TABLE elsewhere RENAME TO calls")
    committer.settle_all()
    audit(store)
    store.close()


def test_t1_x4_times_rise_however_the_clock_is_set(tmp_path: Path):
    hour = 3600 * 10**9
    clock = SimpleNamespace(now=1_700_000_000 * 10**9)
    steps = [0, hour, -3 * hour, 0, 400 * 24 * hour, -500 * 24 * hour, 1, -hour, hour]
    given_out: list[int] = []
    created: list[str] = []
    in_order: list[str] = []
    for step in steps:
        clock.now += step
        store = SqlitePersistence(tmp_path)
        committer = Committer(store, now_ns=lambda: clock.now)
        for back in (0, hour, 1):
            clock.now -= back
            in_order += insert(committer, 2)
            given_out.append(committer.ts)
        committer.settle_all()
        table = committer.catalog.tables["t"]
        rows = committer.begin().range(table.by_creation_time)
        created = [document["_id"] for _, document in rows]
        audit(store)
        store.close()
    for one, other in pairwise(given_out):
        assert one < other
    assert len(created) == 2 * len(given_out)
    assert created == in_order


@pytest.mark.parametrize("full", full_disk.WAYS)
def test_q3_c5_what_finds_no_room_never_was(tmp_path: Path, full: Any):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, 10)
    committer.settle_all()
    before = committer.ts
    with full(store):
        insert(committer, 5000)
        running = committer.begin()
        running.insert("t", {"n": "upon what never was"})
        with pytest.raises(Unavailable, match=str(tmp_path)):
            committer.settle_all()
        committer.give_up("the disk is full")
        with pytest.raises(Unavailable, match="the disk is full"):
            committer.accept(running.finish())
        with store.snapshot() as snapshot:
            assert snapshot.count(10001 << 16) == 10
            assert snapshot.meta.last_ts == before == committer.ts
    insert(committer, 5000)
    committer.settle_all()
    assert committer.ts > before
    store.check()
    audit(store)
    store.close()


def test_q3_what_another_program_locks_out_never_was(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, 1)
    committer.settle_all()
    tool = apsw.Connection(str(tmp_path / "store.sqlite3"))
    tool.execute("BEGIN IMMEDIATE")
    store._write.set_busy_timeout(0)
    insert(committer, 1)
    with pytest.raises(Unavailable, match="locked"):
        committer.settle_all()
    committer.give_up("locked")
    tool.execute("ROLLBACK")
    tool.close()
    insert(committer, 1)
    committer.settle_all()
    with store.snapshot() as snapshot:
        assert snapshot.count(10001 << 16) == 2
    audit(store)
    store.close()


def test_a_store_that_cannot_be_opened_for_want_of_room_says_so(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    store.close()
    with full_disk.no_more_bytes(store), pytest.raises(Unavailable, match="is full"):
        SqlitePersistence(tmp_path)
    SqlitePersistence(tmp_path).close()


def test_trimming_on_a_full_disk_takes_nothing_away(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    for _ in range(3):
        insert(committer, 200)
        committer.settle_all()
    nothing = Retention(log_seconds=0, history_seconds=0)
    with full_disk.no_more_bytes(store), pytest.raises(Unavailable):
        trim_slice(committer, nothing)
    store.check()
    assert trim_slice(committer, nothing) == 2
    store.check()
    audit(store)
    store.close()


READER = """
import sys
from pathlib import Path
from convexlab.engine.persistence.sqlite import open_reader
reader = open_reader(Path(sys.argv[1]))
for line in sys.stdin:
    with reader.snapshot() as snapshot:
        first = snapshot.count(10001 << 16)
        print("looked", flush=True)
        sys.stdin.readline()
        print(first, snapshot.count(10001 << 16), flush=True)
reader.close()
"""


def test_p1_a_reader_in_another_process_sees_whole_groups(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, 1)
    committer.settle_all()
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin is not None
    assert reader.stdout is not None

    def say() -> str:
        assert reader.stdin is not None
        assert reader.stdout is not None
        reader.stdin.write("\n")
        reader.stdin.flush()
        return reader.stdout.readline().strip()

    expected = 1
    for _ in range(5):
        assert say() == "looked"
        for _ in range(10):
            insert(committer, 10)
        committer.settle_all()
        assert say() == f"{expected} {expected}"
        expected += 100
    reader.communicate()
    assert reader.returncode == 0
    store.close()


def test_a_readers_snapshot_lasts_and_holds_the_wal_until_it_is_closed(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, 1)
    committer.settle_all()
    reader = open_reader(tmp_path)
    checkpoint = apsw.Connection(str(tmp_path / "store.sqlite3"))
    snapshot = reader.snapshot()
    insert(committer, 10)
    committer.settle_all()
    assert snapshot.count(10001 << 16) == 1
    with pytest.raises(AssertionError, match="the one before"):
        reader.snapshot()
    assert checkpoint.execute("PRAGMA wal_checkpoint(TRUNCATE)").get[0] == 1  # busy
    snapshot.close()
    assert checkpoint.execute("PRAGMA wal_checkpoint(TRUNCATE)").get[0] == 0
    with reader.snapshot() as later:
        assert later.count(10001 << 16) == 11
    for each in (checkpoint, reader, store):
        each.close()


def test_p1_what_was_acknowledged_survives_a_kill(tmp_path: Path):
    chance = random.Random(7)
    acknowledged: dict[str, int] = {}
    for number in range(20):
        child = subprocess.Popen(
            [
                sys.executable,
                str(HERE / "writes_until_killed.py"),
                str(tmp_path),
                str(number),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(chance.randrange(1, 60)):
            call_id, ts = child.stdout.readline().split()
            acknowledged[call_id] = int(ts)
        child.kill()
        for line in child.communicate()[0].splitlines(keepends=True):
            if line.endswith("\n"):
                call_id, ts = line.split()
                acknowledged[call_id] = int(ts)
        _expect(tmp_path, acknowledged)


def _expect(folder: Path, acknowledged: dict[str, int]) -> None:
    store = SqlitePersistence(folder)
    store.check()
    audit(store)
    committer = Committer(store)
    assert committer.ts >= max(acknowledged.values())
    for call_id, ts in acknowledged.items():
        record: Any = committer.lookup_call(call_id)
        assert record is not None, call_id
        assert (record.ts, record.outcome) == (ts, call_id.encode())
    with store.snapshot() as base:
        snapshot = newest_snapshot(base)
        table = committer.catalog.tables["t"]
        for _, revision in snapshot.rows(table.by_id.id, _everything()):
            call_id = revision.document["call"]
            assert committer.lookup_call(call_id) is not None, (
                "an effect without its call"
            )
    store.close()


def _everything() -> Any:
    from convexlab.engine.interval import EVERYTHING

    return EVERYTHING
