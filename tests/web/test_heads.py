"""Heads, compared byte for byte around the length of what comes behind them."""

from __future__ import annotations

import pytest

from convexlab.web.heads import head_of


@pytest.mark.parametrize(
    "data",
    [
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nxxx",
        b"POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nContent-Length: 2 \r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length : 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 0000000000002\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nX: a\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nX: a\rContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nxx",
        b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nxx",
        b"GET / HTTP/1.1\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_not_surely_one_request_is_none(data):
    assert head_of(data) is None


def test_a_head_is_known_by_all_but_the_length_of_its_body():
    found = head_of(b"POST / HTTP/1.1\r\ncontent-length: 2\r\nX: 1\r\n\r\nab")
    assert found is not None
    head, missing = found
    assert missing == 0
    same = b"POST / HTTP/1.1\r\ncontent-length: 34\r\nX: 1\r\n\r\nabc"
    assert head.length_behind(same) == (len(same) - 3, 34)
    for other in (
        same[:-4],  # the head is not whole
        same.replace(b"X: 1", b"X: 2"),
        same.replace(b": 34", b": +3"),
        same.replace(b": 34", b": "),
        same.replace(b": 34", b": " + b"3" * 13),
        same.replace(b"content", b"Content"),
    ):
        assert head.length_behind(other) is None


def test_a_head_says_how_much_is_missing_of_its_body():
    request = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde"
    for missing in range(6):
        found = head_of(request[: len(request) - missing])
        assert found is not None
        assert found[1] == missing


def test_a_request_without_a_body_is_like_no_other():
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    found = head_of(data)
    assert found is not None
    assert found[0].length_behind(data) is None
