"""The index keeper's process: the followers behind a socket.

Function processes connect and ask, each on a connection and a thread of its own;
the gateway says when there are new commits, and when to end: then what it has is put
to rest, in the moment that the gateway waits. Its files are derived
from the store: at any moment the process may be killed and the files deleted.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convexlab import knobs
from convexlab.engine.persistence.sqlite import open_reader
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import ConvexlabError, InternalError
from convexlab.followers import embeddings
from convexlab.followers.columnar.answers import answering_mirror
from convexlab.followers.columnar.file import FILE
from convexlab.followers.keeper import IndexKeeper
from convexlab.followers.text import request as text_request
from convexlab.followers.vector import request
from convexlab.functions.processes.channel import SyncChannel
from convexlab.functions.processes.child import end_with_parent
from convexlab.functions.processes.failures import failure_from
from convexlab.functions.processes.keeper_link import (
    Question,
    Told,
    receive_frame,
    send_frame,
)
from convexlab.functions.processes.messages import (
    Advance,
    Answer,
    AskStatus,
    Become,
    FromProcess,
    Keep,
    Ready,
    ToProcess,
    to_process_decoder,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convexlab.followers.follower import Follower


def followers_of(folder: Path | None) -> Mapping[str, Callable[[], Follower]]:
    """How each follower of a deployment is opened.

    Args:
        folder: the deployment's; None: its indexes are in memory.
    """
    return {
        "columnar": lambda: answering_mirror(folder and folder / FILE),
        request.NAME: lambda: _vectors(folder),
        text_request.NAME: lambda: _texts(folder),
        embeddings.NAME: lambda: embeddings.Embeddings(folder),
    }


def _vectors(folder: Path | None) -> Follower:
    # N.B. FAISS and NumPy are loaded by who uses them; how FAISS was built is no news.
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)
    from convexlab.followers.vector.follower import Vectors

    return Vectors(folder and folder / request.FOLDER)


def _texts(folder: Path | None) -> Follower:
    from convexlab.followers.text.follower import Texts

    return Texts(folder and folder / text_request.FOLDER)


def main() -> None:
    """Take the inherited descriptors, keep the indexes until the gateway hangs up."""
    channel_fd, listening_fd = (int(argument) for argument in sys.argv[1:3])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent's to answer, for the family
    faulthandler.enable()
    # N.B. a run is many objects that all go at once: looking for cycles among them took
    # a third of the time of following.
    gc.set_threshold(*knobs.GARBAGE_THRESHOLDS)
    # Who is answered from memory does not wait for a follower that takes in many.
    sys.setswitchinterval(knobs.WRITER_SWITCH_SECONDS)
    sock = socket.socket(fileno=channel_fd)
    end_with_parent(sock)
    channel: SyncChannel[ToProcess, FromProcess] = SyncChannel(sock, to_process_decoder)
    first = channel.receive(wait=True)
    if first is None:
        return
    role = first[0]
    assert isinstance(role, Become), role
    folder = Path(role.folder)
    keeper = IndexKeeper(lambda: open_reader(folder), followers_of(folder))
    listening = socket.socket(fileno=listening_fd)
    threading.Thread(
        target=serve, args=(listening, keeper), name="accept", daemon=True
    ).start()
    channel.send([Ready(0)])
    try:
        obey(channel, keeper, first[1:])
    finally:
        keeper.close()
    # N.B. who still waits for an answer, and what native code still does, is not awaited.
    os._exit(0)


def obey(
    channel: SyncChannel[ToProcess, FromProcess],
    keeper: IndexKeeper,
    messages: list[ToProcess] | None,
) -> None:
    """Do what the gateway says until it hangs up.

    Args:
        channel: to the gateway.
        keeper: what it speaks of.
        messages: what it has said already, while the process was starting.
    """
    while messages is not None:
        for message in messages:
            match message:
                case Advance():
                    keeper.advance()
                case Keep(name=name):
                    # N.B. loading FAISS takes half a second.
                    threading.Thread(
                        target=keeper.keep, args=(name,), name="keep", daemon=True
                    ).start()
                case AskStatus(number=number):
                    status = json.dumps(keeper.status()).encode()
                    channel.send([Answer(number, status)])
                case _:
                    return
        messages = channel.receive(wait=True)


def serve(listening: socket.socket, keeper: IndexKeeper) -> None:
    """Answer whoever connects."""
    listening.setblocking(True)
    while True:
        connection, _ = listening.accept()
        threading.Thread(
            target=converse, args=(connection, keeper), name="answer", daemon=True
        ).start()


def converse(connection: socket.socket, keeper: IndexKeeper) -> None:
    """Answer one process's questions until it hangs up."""
    decode = msgspec.msgpack.Decoder(Question).decode
    encode = msgspec.msgpack.Encoder().encode
    # N.B. who has waited too long has hung up, and hears of no answer.
    with connection, contextlib.suppress(ConnectionError):
        while (frame := receive_frame(connection)) is not None:
            send_frame(connection, encode(told(keeper, decode(frame))))


def told(keeper: IndexKeeper, question: Question) -> Told:
    """What a follower says to a question."""
    try:
        return Told(
            keeper.ask(
                question.name,
                question.request,
                at=Timestamp(question.at),
                patience_seconds=question.patience_seconds,
            )
        )
    except ConvexlabError as error:
        return Told(b"", failure_from(error))
    except Exception as error:  # noqa: BLE001 - one question's, not the keeper's
        faulthandler.dump_traceback()
        return Told(
            b"", failure_from(InternalError(f"{question.name} index: {error!r}"))
        )


if __name__ == "__main__":
    main()
