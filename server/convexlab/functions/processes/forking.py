"""Forking: a process that stands by becomes another one, without starting Python again.

A push needs a fresh process, and a spare one has all that functions need imported. So
the spare stays what it is and forks, as often as pushes come:

    spare ──fork──▶ waiter ──fork──▶ the new process
                      └─ tells the gateway its id, later how it ended

A process that has no role yet has one thread, opened no store and ran nothing of a
user's, which is why it may fork where nobody else may. The waiter is there so that what
becomes of the spare is none of the new process's business.

Only on Linux: elsewhere what a system's libraries do does not survive a fork.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable

CAN_FORK: Final = sys.platform == "linux" and hasattr(os, "pidfd_open")
# What a waiter tells: its process's id, and, once it has ended, its wait status.
NUMBER: Final = struct.Struct("=i")


class Descriptors(NamedTuple):
    """What a function process is born with.

    Attributes:
        channel: to the gateway.
        recorder: the flight recorder.
        stack: where its stack is dumped.
    """

    channel: int
    recorder: int
    stack: int


def ask_to_fork(asking: socket.socket, born_with: Descriptors, telling: int) -> None:
    """Ask the process at the other end to fork.

    Args:
        asking: to a process that stands by.
        born_with: what the new process gets.
        telling: a socket through which its waiter tells of it.
    """
    socket.send_fds(asking, [b"f"], [*born_with, telling])


def stand_by(born_with: Descriptors, asked: int | None) -> Descriptors:
    """Return when there is a role to take, in this process or in one forked from it.

    Args:
        born_with: what this process was.
        asked: where it is asked to fork; None: it is not.

    Returns:
        What the process was born with in which this returns.
    """
    if asked is None:
        return born_with
    waiting = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # of waiters nobody asks
    asking = socket.socket(fileno=asked)
    while asking in _readable(asking, born_with.channel):
        request = _received(asking)
        if request is None:
            break
        forked = _fork(*request)
        if forked is not None:
            asking.detach()  # it is closed here already
            return forked
    asking.close()
    signal.signal(signal.SIGCHLD, waiting)
    return born_with


def _readable(asking: socket.socket, channel: int) -> list[socket.socket | int]:
    # N.B. a fork that was asked for goes before the role that was given later.
    poll = select.poll()
    poll.register(asking, select.POLLIN)
    poll.register(channel, select.POLLIN)
    found = {fd for fd, _ in poll.poll()}
    return [each for each in (asking, channel) if _number(each) in found]


def _number(of: socket.socket | int) -> int:
    return of if isinstance(of, int) else of.fileno()


def _received(asking: socket.socket) -> tuple[Descriptors, int] | None:
    """What a new process gets, and where to tell of it; None: nobody asks any more."""
    data, given, _, _ = socket.recv_fds(asking, 1, 4)
    if not data:
        return None
    channel, recorder, stack, telling = given
    return Descriptors(channel, recorder, stack), telling


def _fork(born_with: Descriptors, telling: int) -> Descriptors | None:
    """In the new process what it is born with; None in this one."""
    if os.fork():
        for fd in (*born_with, telling):
            os.close(fd)
        return None
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _close_all_but((*born_with, telling))
    child = os.fork()
    if child:
        _wait(child, born_with, telling)
    os.close(telling)
    return born_with


def _close_all_but(kept: Iterable[int]) -> None:
    """What the spare has open is not ours: who hangs up on it must be heard."""
    least = 3  # after the standard ones
    for fd in sorted(kept):
        os.closerange(least, fd)
        least = fd + 1
    os.closerange(least, os.sysconf("SC_OPEN_MAX"))


def _wait(child: int, born_with: Descriptors, telling: int) -> NoReturn:
    """Tell of the new process until it ends; end it if nobody listens any more."""
    for fd in born_with:
        os.close(fd)
    ended = os.pidfd_open(child)  # type: ignore[attr-defined, unused-ignore]  # Linux
    os.write(telling, NUMBER.pack(child))
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(telling, 0)  # a hangup is told unasked
    if ended not in dict(poll.poll()):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    try:
        os.write(telling, NUMBER.pack(status))
    finally:
        os._exit(0)
