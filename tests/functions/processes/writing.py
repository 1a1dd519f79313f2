"""A writer at work in this process, and its gateway's end of the channel."""

from __future__ import annotations

import socket
import textwrap
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from convexlab.documents.encoding import from_wire, to_wire
from convexlab.engine.persistence.sqlite import SqlitePersistence
from convexlab.followers.keeper import NO_INDEXES
from convexlab.functions.processes.channel import SyncChannel
from convexlab.functions.processes.messages import (
    Answer,
    BeginPush,
    FinishPush,
    FromProcess,
    Group,
    Recover,
    Reply,
    RunMutation,
    Source,
    ToProcess,
    from_process_decoder,
    to_process_decoder,
)
from convexlab.functions.processes.recorder import FlightRecorder
from convexlab.functions.processes.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from convexlab.engine.retention import Retention
    from convexlab.followers.keeper import DerivedIndexes

MODULE = textwrap.dedent("""\
    from convexlab import mutation


    @mutation
    def add(ctx, text, size: float = 0):
        ctx.db.insert("notes", {"text": text, "filling": "x" * int(size)})
        return sorted(note["text"] for note in ctx.db.query("notes").collect())


    @mutation
    def all(ctx):
        return sorted(note["text"] for note in ctx.db.query("notes").collect())


    @mutation
    def fail(ctx):
        raise ValueError("on purpose")
""")


class Writing:
    """A writer on a thread; ends with `close`.

    Args:
        folder: of its store.
        fault: passed to store and writer alike.
        retention: the writer's.
        recorder: the writer's.
        module: the source of the module `m`; None pushes nothing.
        derived: the indexes that follow the log.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fault: Callable[[str], None] = lambda _: None,
        retention: Retention | None = None,
        recorder: FlightRecorder | None = None,
        module: str | None = MODULE,
        derived: DerivedIndexes = NO_INDEXES,
    ) -> None:
        ours, theirs = socket.socketpair()
        self.gateway: SyncChannel[FromProcess, ToProcess] = SyncChannel(
            ours, from_process_decoder
        )
        self._sockets = ours, theirs
        self.store = SqlitePersistence(folder, fault=fault)
        self.recorder = recorder or FlightRecorder.create()
        self.writer = Writer(
            SyncChannel(theirs, to_process_decoder),
            self.recorder,
            self.store,
            secret=b"s" * 32,
            retention=retention,
            fault=fault,
            derived=derived,
        )
        self.heard: list[FromProcess] = []
        self._number = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        if module is not None:
            self.push(module)

    def _run(self) -> None:
        try:
            self.writer.loop()
        finally:  # whoever waits for an answer hears that none will come
            self._sockets[1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up and wait for the end."""
        self._sockets[0].shutdown(socket.SHUT_WR)
        self._thread.join()
        for end in self._sockets:
            end.close()
        self.recorder.close()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def without_room(
        self, way: Callable[[SqlitePersistence], AbstractContextManager[None]]
    ) -> Iterator[None]:
        """The disk is full, in one of the ways of `tests.full_disk`."""
        # N.B. the writer may still be settling what it has answered.
        full = way(self.store)
        with self.writer._flusher.lock:
            full.__enter__()
        try:
            yield
        finally:
            with self.writer._flusher.lock:
                full.__exit__(None, None, None)

    # -- sending ---------------------------------------------------------------

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def mutation(
        self, path: str, /, *, call_id: str | None = None, **args: Any
    ) -> RunMutation:
        number = self.next_number()
        name = call_id or f"g{number}"
        return RunMutation(number, name, path, to_wire(args), None, False, False)

    def push(self, module: str) -> None:
        sources = [Source("m", module, version=str(hash(module)))]
        for message in (
            BeginPush(self.next_number(), b"null"),
            FinishPush(self.next_number(), b"null", sources),
        ):
            answer = self.ask(message)
            assert answer.failure is None, answer

    def ask(self, message: Any) -> Any:
        """Send one message; its Reply or Answer."""
        self.gateway.send([message])
        return self.hear(message.number)[message.number]

    def ask_all(self, *messages: Any) -> list[Any]:
        """Send messages in one batch; their Replies or Answers."""
        self.gateway.send(messages)
        heard = self.hear(*(message.number for message in messages))
        return [heard[message.number] for message in messages]

    def recover(self, since: int, *calls: RunMutation) -> Group:
        """Ask what the writer before could not tell."""
        self.gateway.send([Recover(since, [(c.number, c.call_id) for c in calls])])
        while True:
            for message in self._receive():
                if isinstance(message, Group):
                    return message

    def hear(self, *numbers: int) -> dict[int, Any]:
        """Wait for the Replies and Answers to these numbers."""
        found: dict[int, Any] = {}
        while not found.keys() >= set(numbers):
            for message in self._receive():
                if isinstance(message, Group):
                    found |= {reply.number: reply for reply in message.replies}
                elif isinstance(message, Answer):
                    found[message.number] = message
        return found

    def _receive(self) -> list[FromProcess]:
        messages = self.gateway.receive(wait=True)
        assert messages is not None, "the writer has ended"
        self.heard += messages
        return messages

    @property
    def groups(self) -> list[Group]:
        """All groups heard so far."""
        return [message for message in self.heard if isinstance(message, Group)]


def value_of(reply: Reply) -> Any:
    assert reply.failure is None, reply
    assert reply.value is not None
    return from_wire(reply.value)
