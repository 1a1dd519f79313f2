"""Every session shows one true moment after another, and none waits for ever."""

from __future__ import annotations

import asyncio

from tests.sync.conftest import settle, truth
from tests.sync.page import Page

from convexlab import knobs


async def test_a_slow_query_delays_only_the_sessions_that_follow_it(gateway, backend):
    fast, slow = Page(gateway, truth(backend)), Page(gateway, truth(backend))
    fast.follow("counter:get")
    slow.follow("counter:get")
    slow.follow("slow:get")
    await settle()
    backend.hold("slow:get")
    backend.write(n=1)
    await settle()
    backend.write(n=2)
    await settle()
    assert fast.value == 2.0
    assert slow.results == {0: 0.0, 1: 0.0}
    backend.release("slow:get")
    await settle()
    assert slow.results == {0: 2.0, 1: 2.0}


async def test_a_query_runs_once_at_a_time(gateway, backend):
    """Sessions that need a query which still runs wait for it, and then run it once."""
    pages = [Page(gateway, truth(backend)) for _ in range(3)]
    backend.hold("slow:get")
    for number, page in enumerate(pages):
        page.follow("slow:get")
        backend.write(n=number)
        await settle()
    assert backend.runs["slow:get"] == 1
    backend.release("slow:get")
    await settle()
    assert all(page.value == 2.0 for page in pages)
    assert backend.runs["slow:get"] == 2


async def test_a_refused_query_is_not_answered_by_what_it_would_have_been(
    gateway, backend
):
    """There are no components: what names one is refused, though the rest is known."""
    good, bad = Page(gateway, truth(backend)), Page(gateway)
    good.follow("counter:get")
    await settle()
    bad.follow("counter:get", componentPath="elsewhere")
    await settle()
    message, _ = bad.value
    assert "in component 'elsewhere'" in message
    backend.write(n=1)
    await settle()
    assert good.value == 1.0


async def test_what_goes_wrong_with_a_session_ends_that_one_alone(
    gateway, backend, monkeypatch, caplog
):
    good, bad = Page(gateway, truth(backend)), Page(gateway)

    def begin(_ts):
        raise KeyError("oh")

    monkeypatch.setattr(bad.session, "begin", begin)
    bad.follow("counter:get")
    good.follow("counter:get")
    await settle()
    backend.write(n=1)
    await settle()
    assert good.value == 1.0
    assert bad.closed == (1011, "InternalServerError")
    assert "oh" in caplog.text


async def test_removing_the_query_that_is_waited_for_ends_the_wait(page, backend):
    backend.hold("slow:get")
    page.follow("counter:get")
    slow = page.follow("slow:get")
    await settle()
    page.unfollow(slow)
    await settle()
    assert page.value == 0.0
    assert page.version.query_set == 3


async def test_a_query_too_old_to_be_read_is_asked_at_a_newer_timestamp(page, backend):
    backend.hold("counter:get")
    page.follow("counter:get")
    await settle()
    backend.write(n=4)
    backend.oldest = backend.ts
    backend.release("counter:get")
    await settle()
    assert page.value == 4.0


async def test_a_congested_page_gets_the_last_state_when_it_is_relieved(
    page, gateway, backend
):
    page.follow("counter:get")
    await settle()
    page.congested = True
    for n in range(1, 6):
        backend.write(n=n)
        await settle()
    assert page.value == 0.0
    page.congested = False
    gateway.relieved(page.session)
    await settle()
    assert [value for _, value in page.updates] == [0.0, 5.0]


async def test_a_single_question_does_not_hold_a_round_up(gateway, page, backend):
    backend.hold("slow:get")
    answer = gateway.query("slow:get", b"{}")
    page.follow("counter:get")
    await settle()
    assert page.value == 0.0
    backend.release("slow:get")
    assert (await answer).value == b"0.0"


# -- fairness ---------------------------------------------------------------------


async def keeps_writing(backend, *, released, turns=12):
    """Writes without a pause, while slow queries end one after the other."""
    for _ in range(turns):
        for path in released:
            backend.write(n=backend.ts)
            await settle()
            backend.let_one_through(path)
            await settle()


async def test_two_slow_queries_that_others_keep_running_do_not_starve_a_session(
    gateway, backend
):
    """Whenever one of them ends, the other is under way for somebody else."""
    slow = ("slow:get", "slow:double")
    one, other, both = (Page(gateway, truth(backend)) for _ in range(3))
    one.follow(slow[0])
    other.follow(slow[1])
    for path in (*slow, "counter:get"):
        both.follow(path)
    await settle()
    for path in slow:
        backend.hold(path)
    told = [len(page.messages) for page in (one, other, both)]
    await keeps_writing(backend, released=slow)
    now = [len(page.messages) for page in (one, other, both)]
    assert all(after >= before + 4 for before, after in zip(told, now, strict=True))
    for path in slow:
        backend.release(path)
    await settle()
    last = backend._states[backend.ts]["n"]
    assert one.value == last
    assert both.results == {0: last, 1: 2 * last, 2: last}


async def test_writes_to_one_query_hold_up_neither_other_queries_nor_other_sessions(
    gateway, backend
):
    """One query of a session is touched by every write, and slower than they come."""
    busy, quick = Page(gateway, truth(backend)), Page(gateway, truth(backend))
    busy.follow("slow:get")
    busy.follow("messages:list")
    quick.follow("messages:list")
    await settle()
    backend.hold("slow:get")
    for number in range(10):
        backend.write(**{"n": number, f"m/{number:04}": number})
        await settle()
        assert len(quick.results[0]) == number + 1, "it waits for another's query"
        backend.let_one_through("slow:get")
        await settle()
        assert len(busy.results[1]) >= number
    backend.release("slow:get")
    await settle()
    assert busy.results == {0: 9.0, 1: [float(n) for n in range(10)]}


async def test_a_commit_answered_while_a_round_begins_is_not_behind_its_flight(
    gateway, backend
):
    """O2: the round's sessions begin in steps, and one of them hears of a commit."""
    pages = [Page(gateway, truth(backend)) for _ in range(knobs.SESSIONS_PER_STEP + 1)]
    for page in pages:
        page.follow("counter:get")
    await settle()
    backend.auto = False
    backend.hold("counter:get")
    backend.write(n=5)
    await asyncio.sleep(0)  # the first step
    (late,) = [page for page in pages if page.session.flight is None]
    late.mutate("counter:inc")
    backend.pump()
    backend.release("counter:get")
    await settle()
    assert [value for _, value in late.updates] == [0.0, 6.0]
    assert all(page.value == 6.0 for page in pages)


async def test_a_commit_while_sessions_still_begin_reaches_them_all(
    gateway, backend, monkeypatch
):
    """Those that begin after it ask as of before: what they are told has ended."""
    monkeypatch.setattr(knobs, "SESSIONS_PER_STEP", 1)
    pages = [Page(gateway, truth(backend)) for _ in range(20)]
    for page in pages:
        page.follow("counter:get")
    await settle()
    backend.write(n=1)
    while not any(page.value == 1.0 for page in pages):  # noqa: ASYNC110 - a turn
        await asyncio.sleep(0)
    assert any(page.value == 0.0 for page in pages), "some have yet to begin"
    backend.write(n=2)
    await settle(200)
    assert {page.value for page in pages} == {2.0}
