"""The link to the keeper: frames come whole, answers belong to their questions."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest
from tests.functions.processes.keepers import ANSWERED, Keeper, echo, hang_up

from convexlab import knobs
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import FollowerBehind
from convexlab.functions.processes.keeper_link import (
    KeeperLink,
    Question,
    framed,
    receive_frame,
    send_frame,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("size", [0, 1, 16_380, 16_381, 1_000_000])
def test_a_frame_of_any_length_comes_whole(
    pair: tuple[socket.socket, socket.socket], size: int
):
    ours, theirs = pair
    body = bytes(number % 251 for number in range(size))
    sender = threading.Thread(target=send_frame, args=(ours, body))
    sender.start()
    assert receive_frame(theirs) == body
    sender.join()


def test_a_frame_that_comes_in_pieces_is_put_together(
    pair: tuple[socket.socket, socket.socket],
):
    ours, theirs = pair
    found: list[bytes | None] = []
    receiver = threading.Thread(target=lambda: found.append(receive_frame(theirs)))
    receiver.start()
    for piece in framed(b"abcdef"):
        ours.send(bytes([piece]))
    receiver.join()
    assert found == [b"abcdef"]


@pytest.mark.parametrize("begun", [b"", b"\5\0", framed(b"abcdef")[:-1]])
def test_what_ends_within_a_frame_has_closed(
    pair: tuple[socket.socket, socket.socket], begun: bytes
):
    ours, theirs = pair
    ours.sendall(begun)
    ours.close()
    assert receive_frame(theirs) is None


def ask(link: KeeperLink, request: bytes, patience: float = ANSWERED) -> bytes:
    return link.ask("text", request, at=Timestamp(1), patience_seconds=patience)


def test_questions_are_answered_one_after_another(tmp_path: Path):
    keeper, link = Keeper(tmp_path, [echo]), KeeperLink(tmp_path)
    for patience in (ANSWERED, ANSWERED + 0.5, ANSWERED):
        assert ask(link, b"x" * 40_000, patience) == b"x" * 40_000
    link.close()
    keeper.close()


def test_a_keeper_that_died_is_asked_again_once(tmp_path: Path):
    keeper, link = Keeper(tmp_path, [hang_up, echo]), KeeperLink(tmp_path)
    assert ask(link, b"a") == b"a"
    link.close()
    keeper.close()
    keeper = Keeper(tmp_path, [hang_up, hang_up])
    with pytest.raises(FollowerBehind, match="The text index died"):
        ask(link, b"a")
    keeper.close()


def test_one_that_died_and_is_slow_to_come_back_is_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLLOWER_ANSWER_SECONDS", 0.01)
    is_over = threading.Event()

    def hang(*_: object) -> None:
        assert is_over.wait(ANSWERED)

    keeper, link = Keeper(tmp_path, [hang_up, hang]), KeeperLink(tmp_path)
    with pytest.raises(FollowerBehind, match="The text index is starting"):
        ask(link, b"a", patience=0)
    is_over.set()
    link.close()
    keeper.close()


def test_a_late_answer_is_not_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLLOWER_ANSWER_SECONDS", 0.01)
    may_answer = threading.Event()

    def late(connection: socket.socket, question: Question) -> None:
        assert may_answer.wait(ANSWERED)
        with pytest.raises(BrokenPipeError):
            echo(connection, question)

    keeper, link = Keeper(tmp_path, [late, echo]), KeeperLink(tmp_path)
    with pytest.raises(FollowerBehind, match="The text index is starting"):
        ask(link, b"first", patience=0)
    may_answer.set()
    assert ask(link, b"second") == b"second"
    link.close()
    keeper.close()
