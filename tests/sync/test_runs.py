"""A run is shared by all who ask the same, and each of them hears how it ended."""

from __future__ import annotations

import asyncio

import pytest
from tests.sync.conftest import ANN, BOB, settle, truth
from tests.sync.page import Page

from convexlab import knobs
from convexlab.errors import FollowerBehind, OutOfRetention, Overloaded
from convexlab.sync.backend import Caller
from convexlab.sync.gateway import Gateway


async def test_sessions_share_one_run_and_one_encoding(gateway, backend):
    pages = [Page(gateway, truth(backend)) for _ in range(250)]
    for page in pages:
        page.follow("counter:get")
    await settle()
    assert backend.runs["counter:get"] == 1
    backend.write(n=1)
    await settle()
    assert backend.runs["counter:get"] == 2
    assert all(page.value == 1.0 for page in pages)


async def test_a_query_that_nothing_can_run_closes_the_socket_to_try_again(
    page, backend
):
    backend.failing = Overloaded("busy")
    page.follow("counter:get")
    await settle()
    assert page.closed == (1013, "Overloaded")


async def test_a_broken_backend_closes_the_socket_as_our_fault(page, backend, caplog):
    backend.failing = RuntimeError("no such thing")
    page.follow("counter:get")
    await settle()
    assert page.closed == (1011, "InternalServerError")
    assert "could not be run" in caplog.text


def meet_an_index_behind(backend, times, *, catches):
    """Let the first runs of `counter:get` find an index behind."""
    behind = iter([True] * times)
    get = backend.queries["counter:get"]

    def impatient(ctx, args):
        said = get(ctx, args)
        ctx.index_behind = next(behind, False)
        if not ctx.index_behind:
            return said
        if catches:
            return "wait"
        raise FollowerBehind("not yet")

    backend.queries["counter:get"] = impatient


@pytest.mark.parametrize("catches", [True, False])
async def test_a_query_that_met_an_index_behind_is_asked_again(
    gateway, backend, monkeypatch, *, catches: bool
):
    """No write tells when the index has caught up."""
    monkeypatch.setattr(knobs, "FOLLOWER_RETRY_SECONDS", 0)
    meet_an_index_behind(backend, 2, catches=catches)
    page = Page(gateway)
    page.follow("counter:get")
    await settle(60)
    assert page.value == 0.0
    assert backend.runs["counter:get"] == 3


async def test_what_was_said_without_an_index_is_told_to_nobody_who_comes_later(
    gateway, backend
):
    meet_an_index_behind(backend, 1, catches=True)
    page = Page(gateway)
    page.follow("counter:get")
    await settle()
    assert page.value == "wait"
    assert (await gateway.query("counter:get", b"{}")).value == b"0.0"
    assert (await gateway.query("counter:get", b"{}")).value == b"0.0"
    assert backend.runs["counter:get"] == 2
    backend.write(n=3)
    await settle()
    assert page.value == 3.0


async def test_users_share_what_did_not_look_at_them(gateway, backend):
    ann, bob = Page(gateway), Page(gateway)
    for page, caller in ((ann, ANN), (bob, BOB)):
        page.authenticate(caller)
        page.follow("counter:get")
        page.follow("users:me")
    await settle()
    assert (ann.results[1], bob.results[1]) == ("ann", "bob")
    assert backend.runs["counter:get"] == 1
    assert backend.runs["users:me"] == 2


async def test_a_query_asked_once_is_shared_and_fresh(gateway, backend):
    first, second = (
        gateway.query("counter:get", b"{}"),
        gateway.query("counter:get", b"{}"),
    )
    assert (await first).value == (await second).value == b"0.0"
    assert backend.runs["counter:get"] == 1
    backend.write(n=3)
    assert (await gateway.query("counter:get", b"{}")).value == b"3.0"


async def test_what_was_known_is_heard_of_and_not_run(gateway, backend):
    said = await gateway.query("counter:get", b"{}")
    assert backend.known == []
    await gateway.query("counter:get", b"{}", ANN)
    assert backend.known == [("counter:get", said.request_id, ANN, said.value)]
    assert backend.runs["counter:get"] == 1


async def test_a_thousand_users_share_one_run_of_what_never_asks_who_they_are(
    gateway, backend
):
    pages = [Page(gateway) for _ in range(1000)]
    for number, page in enumerate(pages):
        page.authenticate(Caller(b'{"subject":"user%d"}' % number))
        page.follow("counter:get")
    await settle(60)
    assert backend.runs == {"counter:get": 1}
    backend.write(n=1)
    await settle(60)
    assert backend.runs == {"counter:get": 2}
    assert all(page.value == 1.0 for page in pages)


async def test_a_function_that_stopped_looking_at_its_caller_is_shared_again(
    gateway, backend
):
    pages = [Page(gateway) for _ in range(3)]
    for page, caller in zip(pages, (ANN, BOB, Caller()), strict=True):
        page.authenticate(caller)
        page.follow("users:me")
    await settle()
    assert backend.runs["users:me"] == 3
    backend.push(users__me=lambda ctx, args: ctx.get("n"))
    await settle()
    backend.runs.clear()
    backend.write(n=1)
    await settle()
    assert [page.value for page in pages] == [1.0] * 3
    assert backend.runs["users:me"] == 1


async def test_a_question_is_never_answered_from_before_it_was_asked(gateway, backend):
    backend.hold("slow:get")
    early = gateway.query("slow:get", b"{}")
    await settle()
    backend.write(n=1)
    late = gateway.query("slow:get", b"{}")
    await settle()
    backend.release("slow:get")
    assert (await early).value == b"0.0"
    assert (await late).value == b"1.0"


async def test_a_question_about_what_is_kept_no_longer_is_asked_about_now(
    gateway, backend
):
    """As where an index was made anew since; what is not newer either is refused."""
    backend.hold("slow:get")
    answer = gateway.query("slow:get", b"{}")
    await settle()
    backend.write(n=1)
    backend.oldest = backend.ts
    backend.release("slow:get")
    assert (await answer).value == b"1.0"
    backend.oldest = backend.ts + 1
    with pytest.raises(OutOfRetention):
        await gateway.query("counter:get", b"{}")


async def test_a_question_that_nothing_can_run_raises(gateway, backend):
    backend.failing = Overloaded("busy")
    answer = gateway.query("counter:get", b"{}")
    (raised,) = await asyncio.gather(answer, return_exceptions=True)
    assert isinstance(raised, Overloaded)


async def test_each_user_hears_their_own_answer_in_one_round(gateway, backend):
    """The run that they shared turned out to look at its caller."""
    pages = [Page(gateway) for _ in range(2)]
    for one, caller in zip(pages, (ANN, BOB), strict=True):
        one.authenticate(caller)
        one.follow("users:me")
    await settle()
    assert [one.value for one in pages] == ["ann", "bob"]
    assert len({one.version.ts for one in pages}) == 1


async def test_a_query_is_run_no_more_often_than_it_ends(gateway, backend):
    """Many sessions that come one by one share what is under way, and what follows."""
    backend.hold("slow:get")
    pages = []
    for number in range(30):
        pages.append(Page(gateway, truth(backend)))
        pages[-1].follow("slow:get")
        backend.write(n=number)
        await settle()
        if number % 10 == 9:
            backend.let_one_through("slow:get")
            await settle()
    backend.release("slow:get")
    await settle()
    assert all(page.value == 29.0 for page in pages)
    assert backend.runs["slow:get"] <= 5


async def test_what_was_asked_takes_room_beside_what_was_said(backend):
    """A vector is asked about in 8 KB, and answered in a few bytes."""
    gateway = Gateway(backend, round_seconds=0, pause_seconds=0, result_bytes=50_000)
    for number in range(20):
        asked = b'{"n":%d,"e":"%b"}' % (number, b"x" * 8_000)
        assert (await gateway.query("counter:get", asked)).value == b"0.0"
    assert len(gateway._results) == 5
