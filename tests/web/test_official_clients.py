"""Unmodified official clients work against the server."""

from __future__ import annotations

import asyncio

import pytest
from tests.compat.clients import client, node, outcome, python
from tests.web.conftest import ADMIN_KEY

pytestmark = pytest.mark.node


async def test_npm_queries_mutations_and_actions(served):
    said = await outcome(node("calls"), served.url)
    assert (said["before"], said["written"], said["after"]) == (0, 2, 2)
    assert (said["action"], said["deep"]) == ("ran", "deep")
    assert "Could not find public function for 'no:such'" in said["noQuery"]["message"]
    assert (
        "Could not find public function for 'no:such'" in said["noMutation"]["message"]
    )


async def test_npm_mutations_resolve_with_nothing_followed(served):
    assert await outcome(node("mutationAlone"), served.url) == {"values": [1, 2]}


async def test_npm_updates_come_in_order_and_end_on_the_last(served):
    seen = (await outcome(node("subscription"), served.url))["seen"]
    assert seen == sorted(set(seen))
    assert seen[-1] == 20


async def test_npm_optimistic_updates_never_show_twice(served):
    said = await outcome(node("optimistic"), served.url)
    assert said["results"] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert said["seen"] == sorted(said["seen"])
    assert said["seen"][-1] == 5


async def test_npm_never_sees_half_a_commit(served):
    assert await outcome(node("together"), served.url) == {"torn": []}


async def test_npm_errors_carry_their_data(served):
    said = await outcome(node("failures"), served.url)
    assert not said["plain"]["isConvexError"]
    assert "ValueError: boom" in said["plain"]["message"]
    for name in ("data", "mutation"):
        assert said[name]["isConvexError"]
        assert said[name]["data"] == {"code": "7n"}
    assert said["nothing"]["isConvexError"]
    assert said["nothing"]["data"] is None
    assert said["still"] == 0
    said = await outcome(node("actionFailure"), served.url)
    assert said["data"] == "x"


async def test_npm_shows_log_lines(served):
    (line,) = (await outcome(node("logs"), served.url))["lines"]
    assert "[CONVEX Q(log:query)]" in line
    assert "'hi'" in line


async def test_npm_values_come_back_as_they_went(served):
    said = await outcome(node("values"), served.url)
    for name in ("query", "mutation", "httpQuery", "httpMutation"):
        assert said[name] == said["sent"], name


async def test_npm_arguments_that_are_no_values_fail_their_call_only(served):
    said = await outcome(node("refused"), served.url)
    for name in ("surrogate", "long", "deep"):
        assert "message" in said[name], (name, said[name])
    assert "too large" in said["large"]
    assert said["still"] == 0


@pytest.mark.parametrize("program", [node, python])
async def test_results_larger_than_a_frame_arrive(served, program):
    assert await outcome(program("big"), served.url) == {"length": 17 << 20}


async def test_npm_reconnects_to_what_it_followed(served):
    async with client(node("reconnect"), served.url) as page:
        assert await page.line() == {"ready": True}
        served.drop_all()
        served.backend.write(n=5)
        assert (await page.line())["seen"][-1] == 5


async def test_npm_mutations_cut_off_before_their_response_run_once(served):
    served.backend.auto = False
    async with client(node("replay"), served.url) as page:
        await page.line()
        await served.backend.has_queued(2)
        served.drop_all()
        served.backend.pump()
        served.backend.auto = True
        said = await page.line()
    assert said["results"] == [1, 2]
    assert said["local"] == 2
    assert len(served.backend.executed) == 2
    assert max(said["seen"]) == 2


async def test_npm_goes_on_as_nobody_when_its_token_is_refused(served):
    said = await outcome(node("badToken"), served.url, QUIET="1")
    assert said == {"changes": [False], "value": 0}


async def test_npm_admins_see_what_is_internal_and_act_as_users(served):
    said = await outcome(node("admin"), served.url, CONVEX_ADMIN_KEY=ADMIN_KEY)
    assert "Could not find public function" in said["before"]
    assert (said["asAdmin"], said["me"]) == ("secret", "ann")


async def test_npm_signs_in_renews_and_signs_out(served):
    said = await outcome(node("signIn"), served.url)
    assert said["seen"] == [None, "ann", None]
    assert said["changes"][0] is True
    assert said["fetched"] == 2
    assert served.backend._states[served.backend.ts]["owner"] == "ann"


async def test_npm_works_without_a_connect(served):
    said = await outcome(node("lateAuth"), served.url)
    assert said == {"confirmed": True, "written": 1, "me": "ann"}
    assert served.backend.executed[0].startswith("g")


async def test_npm_over_http(served):
    said = await outcome(node("http"), served.url, CONVEX_ADMIN_KEY=ADMIN_KEY)
    assert (said["first"], said["written"]) == (0, 1)
    assert (said["consistent"], said["now"]) == (0, 1)
    assert "ValueError: boom" in said["plain"]["message"]
    assert said["data"]["data"] == {"code": "7n"}
    assert (said["action"], said["me"]) == ("ran", "ann")


async def test_npm_stops_hearing_of_what_it_follows_no_more(served):
    said = await outcome(node("unsubscribe"), served.url)
    assert said == {"seen": [0], "again": [1]}


async def test_npm_works_behind_the_secret_path_and_a_trailing_slash(gated):
    assert await outcome(node("mutationAlone"), f"{gated.inside}/") == {
        "values": [1, 2]
    }


async def test_python_queries_mutations_and_actions(served):
    said = await outcome(python("calls"), served.url)
    assert (said["before"], said["written"], said["after"]) == (0, 2, 2)
    assert (said["action"], said["bare"]) == ("ran", "default")
    assert "Could not find public function" in said["missing"]["message"]


async def test_python_mutations_resolve_with_nothing_followed(served):
    assert await outcome(python("mutation_alone"), served.url) == {"values": [1, 2, 3]}
    assert len(served.backend.executed) == 3


async def test_python_errors_carry_their_data_and_settle_at_once(served):
    said = await outcome(python("errors"), served.url)
    assert "boom" in said["plain"]["message"]
    for name in ("data", "mutation"):
        assert said[name]["kind"] == "ConvexError"
        assert said[name]["data"] == {"code": 7}
    assert said["nothing"]["kind"] == "ConvexError"
    assert said["nothing"]["data"] is None
    assert "boom" in said["ordinary"]["message"]
    assert said["still"] == 0


async def test_python_follows_a_query(served):
    assert await outcome(python("subscription"), served.url) == {"seen": [0, 1, 2, 3]}


async def test_python_hears_nothing_of_what_does_not_concern_it(served):
    async with client(python("watch"), served.url) as page:
        assert await page.line() == {"value": 0}
        for n in (1, 2, 3):
            served.backend.write(unrelated=n)
            await asyncio.sleep(0.02)
            served.backend.write(n=n)
            assert await page.line() == {"value": n}


async def test_python_values_come_back_as_they_went(served):
    said = await outcome(python("values"), served.url)
    assert (
        said["query"] == said["mutation"] == said["http_query"] == said["http_mutation"]
    )
    assert said["query"]["whole"] == 3.0
    assert "9007199254740993" in said["query"]["int"]


async def test_python_over_http(served):
    said = await outcome(python("http"), served.url)
    assert (said["before"], said["written"], said["after"]) == (0, 2, 2)
    assert "boom" in said["plain"]["message"]
    assert said["data"]["data"] == {"code": 7}
    assert "Could not find public function" in said["missing"]["message"]


async def test_python_shows_the_admin_key_where_the_path_is_secret(gated):
    said = await outcome(python("calls"), gated.url, CONVEX_ADMIN_KEY=ADMIN_KEY)
    assert said["after"] == 2
