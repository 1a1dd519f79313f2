"""An index keeper that answers as a test tells it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from convexlab.functions.processes.keeper_link import (
    Question,
    Told,
    keeper_address,
    receive_frame,
    send_frame,
)
from convexlab.functions.processes.unix_sockets import listen_at

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    Answer = Callable[[socket.socket, Question], None]

ANSWERED = 20.0


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
