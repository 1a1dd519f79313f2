"""What a push reports of functions."""

from __future__ import annotations

import pytest
from tests.functions.lab import analysis_of

from convexlab.errors import PushFailed
from convexlab.functions.analysis import analyze
from convexlab.functions.module_sources import ModuleSource


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        (
            "    x = await ctx.db.get(1)",
            5,
            r"write `ctx\.db\.get\(1\)` without `await`",
        ),
        ("    return [await ctx.run_query('a')]", 5, "without `await`"),
        ("    await ctx.db.query('t').order('desc').first()", 5, "without `await`"),
        ("    async for x in ctx.db.query('t'):\n        pass", 5, "write `for`"),
        ("    return [x async for x in ctx.db.query('t')]", 5, "write `for`"),
    ],
)
def test_awaits_on_ctx_are_refused_with_their_line(body, line, said) -> None:
    with pytest.raises(PushFailed, match=said) as caught:
        analysis_of(f"@mutation\nasync def f(ctx):\n{body}")
    assert caught.value.line == line


def test_actions_may_await() -> None:
    analysis = analysis_of(
        "@action\nasync def f(ctx, x: int) -> str:\n    return await ctx.run_query('a')"
    )
    assert analysis.functions[0].to_json()["functionType"] == "Action"


def test_routes_are_listed() -> None:
    analysis = analyze(
        [
            ModuleSource(
                "http",
                "from convexlab import http_router\nhttp = http_router()\n"
                "@http.route('/hook', method='POST')\nasync def hook(ctx, request): ...\n"
                "@http.route(path_prefix='/files/', method='GET')\ndef files(ctx, request): ...\n",
            )
        ]
    )
    listed = [spec.to_json() for spec in analysis.functions if spec.route]
    assert listed == [
        {"functionType": "HttpAction", "method": "POST", "path": "/hook"},
        {"functionType": "HttpAction", "method": "GET", "path": "/files/*"},
    ]
