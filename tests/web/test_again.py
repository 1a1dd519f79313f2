"""Calls of one connection: each is what reading its body alone would say."""

from __future__ import annotations

import asyncio

import pytest

from convexlab import knobs
from convexlab.functions.requested import UNKNOWN
from convexlab.sync.backend import ANONYMOUS
from convexlab.web.again import Again
from convexlab.web.api import Asker, Begun, Call

LONG = b'{"e":[%s]}' % b",".join([b"0.25"] * knobs.CANONICAL_ARGUMENTS_BYTES)


@pytest.fixture
async def again() -> Again:
    def begin(call: Call) -> Begun:
        return Begun(call, asyncio.get_running_loop().create_future())

    return Again(Asker(ANONYMOUS, UNKNOWN, "json"), begin)


def body(args: bytes, path: bytes = b"m:f", form: bytes = b"stored_json") -> bytes:
    return b'{"path":"%b","args":%b,"format":"%b"}' % (path, args, form)


async def test_a_long_call_like_the_last_is_begun_unread(again):
    for number, args in enumerate([LONG, LONG.replace(b"2", b"3"), LONG]):
        begun = again(body(args))
        assert (begun.call.path, begun.call.format) == ("m:f", "stored_json")
        assert begun.call.args == args
        assert begun.unread == (body(args) if number else None)


async def test_what_is_short_or_of_another_shape_is_read(again):
    again(body(LONG))
    for other in (
        body(b"{}"),
        body(LONG, b"m:other"),
        body(LONG, form=b"json"),
        body(b"[%b]" % LONG),
    ):
        assert again(other).unread is None
    again(body(LONG))
    assert again(body(LONG)).unread is not None


async def test_what_cannot_be_meant_is_not_begun(again):
    for refused in (b"", b"[]", body(LONG)[:-1], body(LONG, b"no path"), body(b"1,")):
        assert again(refused) is None


async def test_each_call_has_a_name_of_its_own(again):
    names = {again(body(LONG)).call.request_id for _ in range(3)}
    assert len(names) == 3
