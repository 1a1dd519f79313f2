"""Why a live view shows what it shows, told to the owner of a real deployment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.deployments import deployment

import convexlab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

NOTES = """
from convexlab import mutation, query

@query
def all(ctx, kind: str = "note"):
    return [note for note in ctx.db.query("notes").collect() if note["kind"] == kind]

@mutation
def add(ctx, n: int):
    for _ in range(n):
        ctx.db.insert("notes", {"kind": "note"})
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("why") / "d", {"notes": NOTES}) as running:
        yield running


def ask(running: Deployment, **body: Any) -> Any:
    return running.ask("POST", "/api/convexlab/why", body)


def test_a_followed_query_has_a_story(running: Deployment) -> None:
    """Its cause by name, what was read, and times that rise up to now."""
    db = convexlab.connect(running.url, admin_key=running.admin_key)
    live = db.watch("notes:all")
    live.wait_for(lambda value: value == [])
    begun = ask(running, path="notes:all").json()
    assert begun["cause"] is None
    before = time.time() * 1e3
    running.mutation("notes:add", n=7)
    live.wait_for(lambda value: len(value) == 7)
    told = ask(running, path="notes.js:all", args={}).json()
    assert told["cause"]["mutations"] == ["notes:add"]
    assert told["cause"]["commits"] == 1
    assert told["documentsRead"] == 7
    assert before < told["knownAt"] <= told["now"]
    parts = told["cause"]["commitMs"], told["cause"]["runMs"], told["functionMs"]
    assert all(part > 0 for part in parts)
    assert sum(parts[:2]) < told["knownAt"] - before
    live.close()


def test_what_nobody_follows_has_none(running: Deployment) -> None:
    assert ask(running, path="notes:all", args={"kind": "other"}).json() is None


@pytest.mark.parametrize("body", [{}, {"path": "no path"}, {"path": 7}])
def test_what_names_no_query_is_refused(running: Deployment, body: Any) -> None:
    answer = ask(running, **body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "ArgumentValidationError"


def test_only_the_owner_is_told(running: Deployment) -> None:
    """Names of mutations are nobody else's business."""
    answer = running.ask(
        "POST", "/api/convexlab/why", {"path": "notes:all"}, key="wrong"
    )
    assert answer.status_code in {401, 403}
