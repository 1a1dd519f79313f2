"""Point 54: HTTP actions, as browsers and servers elsewhere call them."""

from __future__ import annotations

import aiohttp
import pytest


@pytest.fixture
async def http(url):
    async with aiohttp.ClientSession() as session:
        yield lambda method, path, **options: session.request(
            method, f"{url}/http{path}", **options
        )


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/a/b", "exact"),
        ("/a/b/", "below"),
        ("/a/c", "below"),
        ("/a/longer/x", "far below"),
        ("/stream", "part 0;part 1;part 2;"),
    ],
)
async def test_point_54_the_route_that_fits_best_answers(http, path, body):
    async with http("GET", path) as answer:
        assert (answer.status, await answer.text()) == (200, body)


async def test_point_54_head_is_get_without_a_body(http):
    async with http("HEAD", "/a/b") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert answer.headers["X-Seen"] == "1"


async def test_point_54_what_leads_nowhere_says_so(http):
    for method, path in (("GET", "/nothing"), ("POST", "/a/b")):
        async with http(method, path) as answer:
            assert answer.status == 404
            assert await answer.text() == "No matching routes found"
            assert answer.content_type == "text/plain"


async def test_point_54_who_cannot_be_made_out_is_nobody(http, issuer):
    for header, who in (
        (f"Bearer {issuer.token(sub='ann')}", "ann"),
        ("Bearer nonsense", None),
        ("x", None),
    ):
        headers = {"Authorization": header}
        async with http("POST", "/who", data="hi", headers=headers) as answer:
            assert await answer.json() == {"who": who, "said": "hi"}


async def test_point_54_a_function_that_fails_is_a_500_with_its_trace(http):
    async with http("GET", "/fail") as answer:
        assert answer.status == 500
        said = await answer.json()
    assert "Server Error" in said["code"]
    assert "boom" in said["code"]
    assert "trace" in said
