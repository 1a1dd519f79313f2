"""Ports for what tests start."""

from __future__ import annotations

import errno
import random
import socket

# Below those that the system gives to outgoing connections: a server that is killed and
# started again finds its port as it left it, whatever was dialled in between.
PORTS = range(10_240, 32_768)
# Chance of its own: tests that seed `random` would otherwise all ask for the same.
_chance = random.SystemRandom()


def free_port() -> int:
    """A port of this machine that nobody listens on, and nobody else is likely to ask for."""
    while True:
        port = _chance.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
