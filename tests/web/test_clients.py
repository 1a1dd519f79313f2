"""web/clients.py: who sent a request."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from convexlab.functions.requested import Client
from convexlab.web.clients import client_of


def sent(peer: object, **headers: str) -> Client:
    transport = Mock()
    transport.get_extra_info = lambda name, default=None: (
        peer if name == "peername" else default
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client_of(make_mocked_request("GET", "/", named, transport=transport))


def test_it_is_the_peer_and_what_it_calls_itself() -> None:
    assert sent(("192.0.2.1", 1), User_Agent="curl") == Client("192.0.2.1", "curl")
    assert sent(("2001:db8::1", 1, 0, 0)) == Client("2001:db8::1", None)
    assert sent("") == Client("", None)  # a socket in the file system


@pytest.mark.parametrize("here", ["127.0.0.1", "::1"])
def test_a_proxy_on_this_machine_is_believed(here: str) -> None:
    assert sent((here, 1)).ip == here
    assert sent((here, 1), X_Forwarded_For="192.0.2.9").ip == "192.0.2.9"
    assert sent((here, 1), X_Forwarded_For="").ip == here


def test_of_several_the_one_that_the_proxy_has_seen_itself() -> None:
    said = "203.0.113.7, 192.0.2.9"
    assert sent(("127.0.0.1", 1), X_Forwarded_For=said).ip == "192.0.2.9"


def test_nobody_else_is_believed() -> None:
    assert sent(("192.0.2.1", 1), X_Forwarded_For="203.0.113.7").ip == "192.0.2.1"
