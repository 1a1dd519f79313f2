"""What `db` says it reads, and how it is followed."""

from __future__ import annotations

import threading

import pytest
from tests.kernel_ext.conftest import deploy
from tests.kernel_ext.test_magics import TASKS

from convexlab.errors import NotAllowed
from convexlab_kernel.reads import Reads


def test_each_way_of_reading_is_told_of_its_changes(db):  # R1
    deploy(db, tasks=TASKS)
    db.tasks.create(text="a")
    for read, label in (
        (lambda: db.query("tasks:list"), "tasks:list"),
        (db.tasks.list, "tasks:list"),
        (
            lambda: db.sql("select count(*) from tasks"),
            "SQL (select count(*) from tasks)",
        ),
        (lambda: db.table("tasks").take(2), "table tasks"),
        (lambda: db.table("tasks").df(), "table tasks"),
        (lambda: db.table("tasks").count(), "table tasks"),
        (lambda: list(db.table("tasks")), "table tasks"),
    ):
        changed = threading.Event()
        reads = Reads(changed.set)
        with reads.recording():
            read()
        assert reads.labels == [label]
        assert not changed.is_set()
        db.tasks.create(text="b")
        assert changed.wait(60), label
        reads.close()


def test_what_is_past_is_not_followed_and_what_writes_is_refused(db):
    deploy(db, tasks=TASKS)
    reads = Reads(lambda: None)
    live = db.watch("tasks:list")
    assert live.value == []
    with reads.recording():
        db.at(live.ts).query("tasks:list")
    assert reads.labels == []
    for write in (
        lambda: db.tasks.create(text="a"),
        lambda: db.action("tasks:nothing"),
        lambda: db.table("tasks").clear(),
        lambda: db.table("tasks").drop(),
    ):
        with reads.recording(), pytest.raises(NotAllowed, match="only reads"):
            write()
    live.close()
