"""Whatever happens in whatever order, every page shows one true moment."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.sync.conftest import ANN, BOB, SESSION, settle, truth
from tests.sync.page import Page
from tests.sync.tiny import tiny

from convexlab import knobs
from convexlab.errors import Overloaded, Unavailable
from convexlab.sync.backend import Caller
from convexlab.sync.gateway import Gateway, canonical
from convexlab.sync.transition import Payload

# -- queries ------------------------------------------------------------------


async def test_a_followed_query_is_told_at_once_and_after_each_change(page, backend):
    page.follow("counter:get")
    await settle()
    assert page.value == 0.0
    backend.write(n=1)
    await settle()
    assert page.value == 1.0
    assert page.version.ts == backend.ts


async def test_an_empty_query_set_is_confirmed(page):
    page.modify()
    await settle()
    assert page.messages[-1]["modifications"] == []
    assert page.version.query_set == 1


async def test_two_query_sets_in_a_burst_make_one_transition(page):
    page.follow("counter:get")
    page.follow("counter:double")
    await settle()
    assert page.version.query_set == 2
    assert len(page.messages) == 1


async def test_a_query_added_and_removed_in_a_burst_is_only_removed(page):
    page.unfollow(page.follow("counter:get"))
    await settle()
    assert [m["type"] for m in page.messages[-1]["modifications"]] == ["QueryRemoved"]


async def test_a_write_that_changes_no_result_is_not_told(page, backend):
    page.follow("counter:sign")
    await settle()
    backend.write(n=1)
    await settle()
    told = len(page.messages)
    backend.write(n=2)
    await settle()
    assert backend.runs["counter:sign"] == 3
    assert len(page.messages) == told


async def test_an_unrelated_write_runs_nothing_and_tells_nobody(page, backend):
    page.follow("counter:get")
    await settle()
    told, runs = len(page.messages), sum(backend.runs.values())
    backend.write(other=1)
    await settle()
    assert (len(page.messages), sum(backend.runs.values())) == (told, runs)


async def test_one_commit_changes_two_queries_in_one_transition(page, backend):
    page.follow("counter:get")
    page.follow("counter:double")
    await settle()
    backend.write(n=5)
    await settle()
    assert page.results == {0: 5.0, 1: 10.0}
    assert len(page.messages[-1]["modifications"]) == 2


async def test_a_later_session_is_answered_without_a_run(gateway, page, backend):
    page.follow("counter:get")
    await settle()
    other = Page(gateway, truth(backend))
    other.follow("counter:get")
    await settle()
    assert other.value == 0.0
    assert backend.runs["counter:get"] == 1


async def test_a_push_runs_the_changed_function_again(page, backend):
    page.follow("counter:get")
    await settle()
    backend.push(counter__get=lambda ctx, args: "new")
    await settle()
    assert page.value == "new"


async def test_after_a_gap_everything_is_asked_again(page, backend):
    page.follow("counter:get")
    await settle()
    backend.skip(n=7)
    backend.write(other=1)
    await settle()
    assert page.value == 7.0


async def test_beyond_the_cache_only_the_hash_of_what_was_told_is_kept(backend):
    """Equal results are not told again, and nobody holds the values."""
    gateway = Gateway(backend, round_seconds=0, pause_seconds=0, result_bytes=20_000)
    pages = [Page(gateway, truth(backend)) for _ in range(40)]
    for number, page in enumerate(pages):
        page.follow("values:padded", {"key": float(number)})
        page.follow("values:padded", {"key": -1.0})
    await settle()

    def held() -> int:
        gc.collect()
        payloads = [one for one in gc.get_objects() if type(one) is Payload]
        padded = [one.value for one in payloads if b"x" * 5_000 in (one.value or b"")]
        return sum(map(len, padded))

    assert len(gateway._results) == 41
    assert 0 < held() <= 20_000
    told, runs = [len(page.messages) for page in pages], backend.runs.total()
    backend.write(n=-5)
    await settle()
    assert backend.runs.total() == runs + 41
    assert [len(page.messages) for page in pages] == told
    backend.write(n=5)
    await settle()
    assert all(value[1] for page in pages for value in page.results.values())
    assert held() <= 20_000
    late = Page(gateway, truth(backend))
    for number in range(40):
        late.follow("values:padded", {"key": float(number)})
    await settle()
    # Three have room in the cache; which, is as the others ran in.
    assert 37 <= backend.runs.total() - (runs + 2 * 41) <= 40
    gateway._results.check()


# -- identities ---------------------------------------------------------------


async def test_a_new_identity_is_confirmed_and_asked_again(page, backend):
    page.truth = None
    page.follow("users:me")
    page.follow("counter:get")
    await settle()
    page.authenticate(ANN)
    await settle()
    assert page.results == {0: "ann", 1: 0.0}
    assert page.version.identity == 1
    assert [m["queryId"] for m in page.messages[-1]["modifications"]] == [0]
    page.authenticate(Caller())
    await settle()
    assert page.results[0] is None


async def test_a_mutation_runs_as_who_was_asking_when_it_was_sent(page, backend):
    backend.auto = False
    page.authenticate(ANN)
    page.mutate("users:claim")
    page.authenticate(BOB)
    backend.pump()
    assert backend._states[backend.ts]["owner"] == "ann"


async def test_internal_functions_are_there_for_admins_only(gateway):
    page = Page(gateway)
    page.follow("secret:query")
    await settle()
    assert "Could not find public function" in page.value[0]
    page.authenticate(Caller(admin=True))
    await settle()
    assert page.value == "secret"


async def test_a_locked_session_answers_an_admin_only(gateway):
    page = Page(gateway, locked=True)
    page.connect(SESSION)
    page.authenticate(Caller(admin=True))
    page.follow("counter:get")
    await settle()
    assert page.value == 0.0
    stranger = Page(gateway, locked=True)
    stranger.follow("counter:get")
    assert stranger.messages[-1]["type"] == "FatalError"
    assert "secret path" in stranger.messages[-1]["error"]
    assert stranger.closed is not None


# -- mutations ----------------------------------------------------------------


async def test_a_response_precedes_the_transition_that_contains_it(page, backend):
    """O1, O2, O3."""
    page.follow("counter:get")
    await settle()
    page.mutate("counter:inc")
    await settle()
    response, transition = page.messages[-2:]
    assert response["type"] == "MutationResponse"
    assert transition["endVersion"]["ts"] == response["ts"]
    assert page.value == 1.0


async def test_a_mutation_without_queries_is_followed_by_an_empty_transition(page):
    """O2."""
    page.mutate("counter:inc")
    await settle()
    assert [m["type"] for m in page.messages] == ["MutationResponse", "Transition"]
    assert page.version.query_set == 0
    assert not page.owed


@pytest.mark.parametrize("data", [None, {"code": 7}])
async def test_a_failed_mutation_has_no_timestamp_and_a_transition_after_it(page, data):
    """O6, and O2 for Python's client."""
    page.mutate("fail:mutation", {"data": data})
    await settle()
    response = page.messages[-2]
    assert not response["success"]
    assert response["ts"] is None
    assert response["errorData"] == data
    assert not page.owed


async def test_an_ordinary_failure_has_no_error_data(page):
    page.truth = None
    page.mutate("fail:mutation")
    page.follow("fail:query")
    await settle()
    assert "errorData" not in page.responses[0]
    assert "ValueError: boom" in page.responses[0]["result"]
    assert page.value[1] is ...


async def test_a_response_to_a_commit_after_the_flight_waits_for_it_to_land(
    page, backend
):
    """O1: else the Transition under way would follow a response that it lacks."""
    page.follow("counter:get")
    await settle()
    backend.hold("counter:get")
    backend.write(n=10)
    await settle()
    page.mutate("counter:inc")
    await settle()
    assert page.responses == {}
    backend.release("counter:get")
    await settle()
    kinds = [m["type"] for m in page.messages[-3:]]
    assert kinds == ["Transition", "MutationResponse", "Transition"]
    assert [value for _, value in page.updates] == [0.0, 10.0, 11.0]


async def test_fifty_mutations_are_answered_in_order(page, backend):
    """O4."""
    page.follow("counter:get")
    for _ in range(50):
        page.mutate("counter:inc")
    page.say("Action", requestId=50, udfPath="ai:run", args=[{}])
    await settle()
    assert list(page.responses) == [*range(50), 50] or 50 in page.responses
    assert page.value == 50.0


async def test_an_action_is_not_blocked_by_mutations(page, backend):
    backend.auto = False
    page.mutate("counter:inc")
    page.say("Action", requestId=1, udfPath="ai:run", args=[{}])
    await settle()
    assert list(page.responses) == [1]
    backend.pump()
    await settle()
    assert list(page.responses) == [1, 0]


async def test_an_action_that_was_not_begun_is_answered_and_the_socket_stays(
    page, backend, monkeypatch
):
    async def overloaded(call):
        raise Overloaded("too many wait already")

    monkeypatch.setattr(backend, "run_action", overloaded)
    page.say("Action", requestId=0, udfPath="ai:run", args=[{}])
    await settle()
    assert "too many wait already" in page.responses[0]["result"]
    assert page.closed is None


async def test_an_action_that_is_asked_for_again_runs_once(gateway, backend):
    ran = []
    backend.hold("ai:run")
    backend.actions["ai:run"] = lambda ctx, args: ran.append(1) or "ran"
    first = Page(gateway, resends=True)
    first.connect(SESSION)
    first.say("Action", requestId=0, udfPath="ai:run", args=[{}])
    await settle()
    first.leave()
    again = Page(gateway, resends=True)
    again.connect(SESSION.replace("1", "2"), count=1)
    again.say("Action", requestId=0, udfPath="ai:run", args=[{}])
    await settle()
    assert 0 not in again.responses
    backend.release("ai:run")
    await settle()
    assert again.responses[0]["result"] == "ran"
    assert ran == [1]


async def test_a_repeated_mutation_is_answered_and_not_run(gateway, page, backend):
    page.mutate("counter:inc")
    await settle()
    page.leave()
    again = Page(gateway, truth(backend))
    again.replayed = lambda ts: True
    again.connect(SESSION, count=1)
    again.follow("counter:get")
    again.mutate("counter:inc", request=0)
    await settle()
    assert len(backend.executed) == 1
    assert again.responses[0]["ts"] == page.responses[0]["ts"]
    assert again.value == 1.0
    assert not again.owed


async def test_after_a_reconnect_old_responses_come_before_the_first_transition(
    gateway, page, backend
):
    page.mutate("counter:inc")
    await settle()
    page.leave()
    backend.auto = False
    again = Page(gateway, truth(backend))
    again.connect(SESSION, count=1)
    again.follow("counter:get")
    again.mutate("counter:inc", request=0)
    await settle()
    assert again.messages == []
    backend.pump()
    await settle()
    assert [m["type"] for m in again.messages][:2] == ["MutationResponse", "Transition"]


async def test_the_same_call_may_be_under_way_twice(gateway, page, backend):
    """A client that reconnects while its mutation still waits for the writer."""
    backend.auto = False
    page.mutate("counter:inc")
    page.leave()
    again = Page(gateway, truth(backend))
    again.connect(SESSION, count=1)
    again.follow("counter:get")
    again.mutate("counter:inc", request=0)
    backend.pump()
    await settle()
    assert backend._states[backend.ts]["n"] == 1
    assert again.value == 1.0
    assert again.responses[0]["success"]


async def test_without_a_connect_calls_have_names_of_our_own(gateway, backend):
    page = Page(gateway, truth(backend))
    page.mutate("counter:inc")
    await settle()
    assert backend.executed[0].startswith("g")
    assert not page.owed


async def test_a_mutation_that_could_not_run_closes_the_socket_to_try_again(
    page, backend
):
    """O7."""
    backend.failing = Overloaded("busy")
    page.mutate("counter:inc")
    await settle()
    assert page.closed == (1013, "Overloaded")


async def test_too_many_mutations_close_the_socket(page, backend):
    backend.auto = False
    for _ in range(knobs.MAX_SESSION_CALLS + 1):
        page.mutate("counter:inc")
    assert page.closed == (1013, "TooManyConcurrentMutations")


async def test_an_unknown_mutation_is_answered_in_its_turn(page, backend):
    backend.auto = False
    for path in ("bad path!", "counter:inc", "no such", "counter:inc", "nothing:here"):
        page.mutate(path)
    backend.pump()
    await settle()
    assert [page.responses[n]["success"] for n in range(5)] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert (
        "Could not find public function for 'bad path!'" in page.responses[0]["result"]
    )


async def in_flight(page, backend, path="slow:get"):
    """A page whose Transition waits for `path`."""
    query_id = page.follow(path)
    await settle()
    backend.hold(path)
    backend.write(n=0)
    await settle()
    assert page.session.flight is not None
    return query_id


async def test_a_failure_while_a_flight_finds_nothing_new_is_still_followed(
    page, backend
):
    """O2: the flight's Transition is owed, though it has nothing to tell."""
    await in_flight(page, backend)
    page.mutate("fail:mutation")
    await settle()
    assert 0 in page.responses
    assert page.owed
    backend.release("slow:get")
    await settle()
    assert page.messages[-1]["modifications"] == []
    assert not page.owed


async def test_what_a_given_up_flight_would_have_removed_is_removed(page, backend):
    first = page.follow("counter:get")
    await settle()
    backend.hold("slow:get")
    page.unfollow(first)
    slow = page.follow("slow:get")
    await settle()
    page.unfollow(slow)
    await settle()
    assert page.results == {}
    assert page.version.query_set == 4


async def test_a_given_up_flight_lets_its_responses_go(page, backend):
    """O1: the next flight may contain their commits."""
    slow = await in_flight(page, backend)
    page.follow("counter:get")
    page.mutate("counter:inc")
    await settle()
    assert page.responses == {}
    page.unfollow(slow)
    assert list(page.responses) == [0]
    await settle()
    assert page.results == {1: 1.0}


# -- slow clients, and calls without a session ----------------------------------


async def test_a_mutation_called_once_returns_when_it_is_published(gateway, backend):
    run = await gateway.mutate("counter:inc", b'{"by": 2}')
    assert (run.value, run.ts) == (b"2.0", backend.ts)
    assert (await gateway.query("counter:get", b"{}")).value == b"2.0"


def test_arguments_have_one_spelling_unless_they_are_long(monkeypatch):
    short, spelled = b'{ "b": 1, "a": [1.0] }', b'{"a":[1.0],"b":1}'
    assert canonical(short) == canonical(spelled) == spelled
    monkeypatch.setattr(knobs, "CANONICAL_ARGUMENTS_BYTES", len(spelled))
    assert (canonical(short), canonical(spelled)) == (short, spelled)
    assert canonical(b'{"$bad": 1, "long": 2}') == b'{"$bad": 1, "long": 2}'


async def test_arguments_that_are_no_value_are_the_querys_error(gateway, page):
    said = await gateway.query("counter:get", b'{"$bad": 1}')
    assert said.error is not None
    page.truth = None
    page.follow("values:same", {"value": {"$bad": 1, "x": 2}})
    await settle()
    assert "$bad" in page.value[0]


async def test_closing_ends_every_session(gateway, page):
    gateway.close(1013, "Closing")
    assert page.closed == (1013, "Closing")
    page.leave()
    assert gateway.session_count == 0


async def test_nothing_is_kept_of_a_page_that_left(gateway, page, backend):
    page.follow("counter:get")
    page.follow("slow:get")
    backend.hold("slow:get")
    await settle()
    page.leave()
    backend.release("slow:get")
    await settle()
    backend.write(n=1)
    await settle()
    assert len(gateway._results) == 0
    gateway._results.check()


# -- anything in any order ------------------------------------------------------

PATHS = ["counter:get", "counter:double", "counter:sign", "slow:get", "messages:list"]
STEPS = st.one_of(
    st.tuples(st.just("follow"), st.integers(0, 2), st.sampled_from(PATHS)),
    st.tuples(st.just("unfollow"), st.integers(0, 2), st.integers(0, 5)),
    st.tuples(
        st.just("mutate"),
        st.integers(0, 2),
        st.sampled_from(["counter:inc", "messages:send", "fail:mutation"]),
    ),
    st.tuples(st.just("authenticate"), st.integers(0, 2), st.none()),
    st.tuples(st.just("write"), st.integers(-1, 3), st.none()),
    st.tuples(st.just("hold"), st.sampled_from(PATHS[2:4]), st.none()),
    st.tuples(st.just("release"), st.sampled_from(PATHS[2:4]), st.none()),
    st.tuples(st.just("congest"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("leave"), st.integers(0, 2), st.none()),
    st.tuples(st.just("turn"), st.integers(1, 6), st.none()),
    st.tuples(st.just("gap"), st.none(), st.none()),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_every_page_always_shows_one_true_moment(steps):
    """O1 to O4 and V1 are checked by each page at every message."""
    asyncio.run(anything(steps))


async def anything(steps):
    backend = tiny()
    gateway = Gateway(backend, round_seconds=0, pause_seconds=0)
    pages = [Page(gateway, truth(backend)) for _ in range(3)]
    for step in steps:
        await take(step, backend, gateway, pages)
        gateway._results.check()
    for path in list(backend._gates):
        backend.release(path)
    for page in pages:
        page.congested = False
        gateway.relieved(page.session)
    await settle(80)
    for page in pages:
        assert page.closed is None
        assert page.unanswered == []
        assert not page.owed, "O2"
        assert page.version.query_set == page.query_set
        assert page.version.identity == page.identity
        for query_id, value in page.results.items():
            path, args = page.asked[query_id]
            assert value == truth(backend)(path, args, backend.ts), "an update was lost"
        assert set(page.results) == set(page.asked) - set(page.removed)


async def take(step, backend, gateway, pages):  # noqa: PLR0912 - one arm a step
    match step:
        case ("follow", number, path):
            pages[number].follow(path)
        case ("unfollow", number, query_id):
            page = pages[number]
            if query_id in page.asked and query_id not in page.removed:
                page.unfollow(query_id)
        case ("mutate", number, path):
            pages[number].mutate(path, {"body": "hi"})
        case ("authenticate", number, _):
            pages[number].authenticate(Caller(b"{}"))
        case ("write", n, _):
            backend.write(n=n)
        case ("hold", path, _):
            if path not in backend._gates:
                backend.hold(path)
        case ("release", path, _):
            if path in backend._gates:
                backend.release(path)
        case ("congest", number, congested):
            pages[number].congested = congested
            if not congested:
                gateway.relieved(pages[number].session)
        case ("leave", number, _):
            pages[number].leave()
            pages[number] = Page(gateway, truth(backend))
        case ("turn", turns, _):
            await settle(turns)
        case ("gap", _, _):
            backend.skip(n=100)


async def test_a_result_is_not_told_in_the_name_of_a_token_that_has_ended(
    backend, gateway, page
):
    """Nobody asks: the token ends, something changes, and the client hears why."""
    page.authenticate(replace(ANN, expires=1e12))
    page.follow("counter:get")
    await settle()
    page.session.caller = replace(ANN, expires=1.0)
    backend.write(n=5)
    await settle()
    last = page.messages[-1]
    assert (last["type"], last["authUpdateAttempted"]) == ("AuthError", False)
    assert page.closed is not None


async def test_a_client_whose_issuer_is_away_comes_back(gateway, page):
    page.say("Authenticate", baseVersion=0, tokenType="User", value="t")
    gateway.unverifiable(page.session, Unavailable("later"))
    assert page.closed == (1013, "Unavailable")
