"""Why a deployment did not start, by what really keeps one from it."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.errors import NotStarted
from convexlab_kernel import discovery, starting


@pytest.fixture
def place(tmp_path):
    place = tmp_path / ".convexlab" / "local"
    place.mkdir(parents=True)
    return place


def why(place):
    with pytest.raises(NotStarted) as refused:
        discovery.attach(place)
    return str(refused.value)


@pytest.fixture
def of_tomorrow(place):
    """A folder with the store of a version that is yet to come."""
    SqlitePersistence(place).close()
    with sqlite3.connect(place / "store.sqlite3") as store:
        store.execute("UPDATE meta SET format = 99")
    store.close()
    return place


def test_a_store_of_a_newer_version(of_tomorrow, monkeypatch, capsys):
    """The server's own sentence; in a notebook, in the output of the cell."""
    said = why(of_tomorrow)
    assert said.startswith(
        f"The deployment in {of_tomorrow} did not start. The store has format 99;"
    )
    assert said.endswith(f"Its log: {of_tomorrow / starting.LOG}")
    monkeypatch.chdir(of_tomorrow.parents[1])
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "convexlab")
    assert "no deployment yet. The deployment in" in capsys.readouterr().out
    shell.run_cell("%convex")
    shown = capsys.readouterr()
    assert "The store has format 99" in shown.out + shown.err
    assert "discovery.py" not in shown.out + shown.err


def test_a_folder_that_another_process_holds(place):
    with (place / "deployment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = why(place)
    assert "The folder is held by another convexlab process" in said
    assert "%convex use URL" in said


def test_a_file_where_a_folder_is_to_be(tmp_path):
    (tmp_path / ".convexlab").write_text("")
    assert f"{tmp_path / '.convexlab'} is no folder: move that file away" in why(
        tmp_path / ".convexlab" / "local"
    )


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="where nobody may write")
def test_a_folder_that_cannot_be_written():
    said = why(Path("/sys/kernel/.convexlab/local"))
    assert "Nothing can be written to /sys/kernel/.convexlab" in said
    assert "Start Jupyter in a folder of yours" in said


def test_a_disk_that_is_full(place, monkeypatch):
    """Its log could not be written either: the disk itself says so."""
    start = starting.Start(place)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0)
    )
    said = str(start.give_up())
    assert "The disk that it is on is full (0 KB are free): free some space" in said


def test_what_nobody_foresaw_is_shown_as_it_was_said(place, monkeypatch):
    monkeypatch.setattr(starting.sys, "executable", "/bin/false")
    assert why(place).startswith(
        f"The deployment in {place} did not start. It ended at once (status 1), and said:\n    (nothing)"
    )
