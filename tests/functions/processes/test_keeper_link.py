"""The link to the keeper: frames come whole, answers belong to their questions."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from convexlab import knobs
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import FollowerBehind
from convexlab.functions.processes.keeper_link import (
    KeeperLink,
    Question,
    Told,
    framed,
    keeper_address,
    receive_frame,
    send_frame,
)
from convexlab.functions.processes.unix_sockets import listen_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Answer = Callable[[socket.socket, Question], None]

ANSWERED = 20.0


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


class Keeper:
    """A keeper that answers as it is told; a connection after another.

    Args:
        folder: of the deployment.
        answers: what each of its connections does with its questions, in turn.
    """

    def __init__(self, folder: Path, answers: list[Answer]) -> None:
        self._listening = listen_at(keeper_address(folder), 8)
        self._listening.setblocking(True)
        self._thread = threading.Thread(target=self._live, args=(answers,), daemon=True)
        self._thread.start()

    def _live(self, answers: list[Answer]) -> None:
        for answer in answers:
            connection, _ = self._listening.accept()
            with connection:
                while (frame := receive_frame(connection)) is not None:
                    question = msgspec.msgpack.decode(frame, type=Question)
                    if answer is hang_up:
                        break
                    answer(connection, question)

    def close(self) -> None:
        self._thread.join(ANSWERED)
        self._listening.close()


def echo(connection: socket.socket, question: Question) -> None:
    send_frame(connection, msgspec.msgpack.encode(Told(question.request)))


def hang_up(connection: socket.socket, question: Question) -> None:
    raise AssertionError((connection, question))


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
