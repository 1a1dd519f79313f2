"""The index keeper's process: there when it is asked for, and again after it died."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
from tests.followers.mirrors import Mirror

from convexlab.engine.committer import Committer
from convexlab.engine.persistence.sqlite import SqlitePersistence, open_reader
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import FollowerBehind, InvalidArguments, NotFound
from convexlab.followers.columnar.file import FILE, MirrorFile
from convexlab.followers.columnar.sql import SqlRequest
from convexlab.followers.keeper import IndexKeeper
from convexlab.functions.processes.index_keeper import converse
from convexlab.functions.processes.keeper_link import (
    KeeperLink,
    Question,
    keeper_address,
    send_frame,
)
from convexlab.functions.processes.keeping import Keeping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW = Timestamp(0)


@pytest.fixture
async def keeping(tmp_path: Path) -> AsyncIterator[Keeping]:
    SqlitePersistence(tmp_path).close()
    keeping = Keeping(tmp_path, sys.stderr.buffer)
    keeping.open()
    yield keeping
    await keeping.close()
    assert not keeper_address(tmp_path).exists()


def ask(link: KeeperLink, name: str = "nothing") -> bytes:
    return link.ask(name, b"", at=NOW, patience_seconds=60)


async def test_the_first_question_starts_it(keeping: Keeping, tmp_path: Path):
    assert keeping.pid is None
    assert await keeping.status() == []
    with pytest.raises(NotFound, match="There is no nothing index"):
        await asyncio.to_thread(ask, KeeperLink(tmp_path))
    assert keeping.pid is not None
    keeping.advance(1)
    assert await keeping.status() == []


async def test_what_is_asked_while_it_starts_is_answered(keeping: Keeping):
    assert keeping._listening is not None
    keeping._somebody_came(keeping._listening)
    assert keeping._starting is not None
    await keeping._starting
    async with asyncio.timeout(60):
        assert await keeping.status() == []


async def test_one_that_was_killed_is_started_again_by_the_next_question(
    keeping: Keeping, tmp_path: Path
):
    link = KeeperLink(tmp_path)
    with pytest.raises(NotFound):
        await asyncio.to_thread(ask, link)
    first = keeping.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with pytest.raises(NotFound):
        await asyncio.to_thread(ask, link)
    assert keeping.pid != first


async def test_impatience_is_told_and_the_late_answer_is_not_taken_for_anothers(
    keeping: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("convexlab.knobs.FOLLOWER_ANSWER_SECONDS", 0.0)
    link = KeeperLink(tmp_path)
    with pytest.raises(FollowerBehind, match="is starting"):
        await asyncio.to_thread(
            lambda: link.ask("first", b"", at=NOW, patience_seconds=0.001)
        )
    with pytest.raises(NotFound, match="second"):
        await asyncio.to_thread(ask, link, "second")


async def test_the_status_says_how_far_behind_each_index_is(
    keeping: Keeping, tmp_path: Path
):
    request = b"sql\n" + msgspec.msgpack.encode(SqlRequest("select 1 as one"))
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    tx = committer.begin()
    tx.insert("notes", {})
    committer.accept(tx.finish())
    committer.settle_all()
    await keeping.ask("columnar", request, at=committer.ts, patience_seconds=60)
    (columnar,) = await keeping.status()
    assert (columnar["name"], columnar["failure"]) == ("columnar", None)
    assert columnar["watermark"] == committer.ts
    keeping.advance(committer.ts + 2_500_000_000)
    (columnar,) = await keeping.status()
    assert columnar["lagSeconds"] == 2.5
    store.close()


async def test_of_one_that_hangs_the_status_says_so_and_how_far_it_is_behind(
    keeping: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, n=1)
    await caught_up(keeping, committer)
    (before,) = await keeping.status()
    assert keeping._process is not None
    keeping._process.send_signal(signal.SIGSTOP)
    keeping.advance(committer.ts + 1_500_000_000)
    with monkeypatch.context() as impatient:
        impatient.setattr("convexlab.knobs.KEEPER_STATUS_SECONDS", 0.01)
        (said,) = await keeping.status()
    assert (said["failure"], said["documentsBehind"], said["lagSeconds"]) == (
        "the index keeper does not answer",
        None,
        1.5,
    )
    assert said["watermark"] == before["watermark"]
    keeping._process.send_signal(signal.SIGCONT)
    monkeypatch.setattr("convexlab.knobs.KEEPER_STATUS_SECONDS", 60)
    (after,) = await keeping.status()  # its answer to the first question came, too
    assert (after["failure"], after["documentsBehind"]) == (None, 0)
    store.close()


# -- its end ---------------------------------------------------------------------------


def insert(committer: Committer, **fields: int) -> None:
    tx = committer.begin()
    tx.insert("notes", fields)
    committer.accept(tx.finish())
    committer.settle_all()


async def caught_up(keeping: Keeping, committer: Committer) -> None:
    request = b"sql\n" + msgspec.msgpack.encode(SqlRequest("select 1 as one"))
    await keeping.ask("columnar", request, at=committer.ts, patience_seconds=60)


async def test_before_it_ends_it_puts_to_rest_what_it_has(
    keeping: Keeping, tmp_path: Path
):
    store = SqlitePersistence(tmp_path)
    committer = Committer(store)
    insert(committer, n=1)
    await caught_up(keeping, committer)
    insert(committer, n=2)
    keeping.advance(committer.ts)
    await keeping.close()
    mirror = MirrorFile(tmp_path / FILE)
    assert mirror.watermark == committer.ts
    (table,) = mirror.tables.values()
    assert table.rows == 2
    mirror.close()
    store.close()


async def test_one_that_does_not_end_is_not_waited_for(
    keeping: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("convexlab.knobs.KEEPER_STOP_SECONDS", 0.01)
    with pytest.raises(NotFound):
        await asyncio.to_thread(ask, KeeperLink(tmp_path))
    assert keeping._process is not None
    keeping._process.send_signal(signal.SIGSTOP)
    await keeping.close()
    assert keeping._process.returncode == -signal.SIGKILL


# -- a conversation, without a process -------------------------------------------------


def test_answers_and_refusals_cross_the_socket(tmp_path: Path):
    store = SqlitePersistence(tmp_path)
    mirror = Mirror()
    keeper = IndexKeeper(lambda: open_reader(tmp_path), {"mirror": lambda: mirror})
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(keeper_address(tmp_path)))
    listening.listen()
    link = KeeperLink(tmp_path)

    def accept() -> None:
        converse(listening.accept()[0], keeper)

    answering = threading.Thread(target=accept)
    answering.start()
    with pytest.raises(InvalidArguments, match="no table `t`"):
        link.ask("mirror", b"t", at=NOW, patience_seconds=60)
    with pytest.raises(FollowerBehind, match="behind"):
        link.ask("mirror", b"t", at=Timestamp(10**18), patience_seconds=0)
    link.close()
    answering.join()
    listening.close()
    keeper.close()
    store.close()


def test_who_hangs_up_before_the_answer_ends_the_conversation():
    ours, theirs = socket.socketpair()

    class LeftAlone(IndexKeeper):
        def ask(self, *_: object, **__: object) -> bytes:
            ours.close()
            return b"an answer"

    send_frame(ours, msgspec.msgpack.encode(Question("text", NOW, 1.0, b"")))
    converse(theirs, LeftAlone(lambda: pytest.fail("it opens no store"), {}))
    assert theirs.fileno() == -1


def test_a_folder_with_a_long_name_has_its_socket_elsewhere(tmp_path: Path):
    address = keeper_address(tmp_path / ("long" * 40))
    assert len(str(address)) < 104
    assert address.parent.stat().st_mode & 0o077 == 0
    address.parent.rmdir()


async def test_what_is_declared_is_kept_before_anybody_asks(keeping: Keeping):
    keeping.declare(frozenset({"embeddings"}))
    await until_kept(keeping, "embeddings")
    first = keeping.pid
    keeping.declare(frozenset({"embeddings", "text"}))
    await until_kept(keeping, "embeddings", "text")
    assert keeping.pid == first
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until_kept(keeping, "embeddings", "text")
    assert keeping.pid != first


async def until_kept(keeping: Keeping, *names: str) -> None:
    """The gateway hears of followers when it asks."""
    async with asyncio.timeout(60):
        while {each["name"] for each in await keeping.status()} != set(names):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
