"""What stands by has what it needs to fork, and gives up what it does not."""

from __future__ import annotations

import socket

import pytest

from convexlab.functions.processes.forking import (
    CAN_FORK,
    Descriptors,
    stand_by,
)

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="processes are spawned here")


def test_who_is_not_asked_to_fork_takes_its_role_at_once():
    born_with = Descriptors(0, 1, 2)
    assert stand_by(born_with, None) == born_with


def test_who_is_given_a_role_stops_standing_by():
    ours, channel = socket.socketpair()
    asking, asked = socket.socketpair()
    with ours, channel, asking:
        born_with = Descriptors(channel.fileno(), 1, 2)
        ours.send(b"a role")
        assert stand_by(born_with, asked.detach()) == born_with
        assert asking.recv(1) == b""  # nobody is asked there any more
