"""SQL over HTTP, by a real deployment: `now` is a moment that the mirror knows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.deployments import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

TRIPS = """
from convexlab import mutation

@mutation
def add(ctx, n: int):
    for i in range(n):
        ctx.db.insert("trips", {"number": i})

@mutation
def note(ctx, **said):
    ctx.db.insert("notes", {"kind": "note"} | said)
"""
COUNT = {"sql": "SELECT count(*) AS n FROM trips", "format": "json"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment with a table, which nobody has asked in SQL yet."""
    with deployment(tmp_path_factory.mktemp("sql") / "d", {"trips": TRIPS}) as running:
        running.mutation("trips:add", n=100)
        yield running


def ask(running: Deployment, body: dict[str, Any]) -> Any:
    return running.ask("POST", "/api/convexlab/sql", body)


def test_now_is_answered_while_the_mirror_is_built_and_commits_go_on(
    running: Deployment,
) -> None:
    """The first question starts the mirror, which begins later than it was asked."""
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            running.mutation("trips:add", n=1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        answer = ask(running, COUNT)
    finally:
        done.set()
        writer.join()
    assert answer.status_code == 200, answer.text
    assert answer.json()[0]["n"] >= 100
    # The answer says of when it is, and that moment can be asked for again.
    then = ask(running, {**COUNT, "ts": answer.headers["Convexlab-Ts"]})
    assert then.json() == answer.json()


def test_the_first_rows_are_asked_for_alone(running: Deployment) -> None:
    numbers = {"sql": "FROM range(100)", "format": "json"}
    assert len(ask(running, {**numbers, "limit": 7}).json()) == 7
    window = {**numbers, "of": {"sql": "FROM range(9)"}, "limit": 1}
    assert "SELECT … LIMIT" in ask(running, window).json()["message"]
    assert ask(running, {**numbers, "limit": -1}).status_code == 400


def test_whole_documents_tell_null_from_missing(running: Deployment) -> None:
    """As DuckDB's columns cannot; where nobody asks for them, there is no such column."""
    running.mutation("trips:note", text=None)
    running.mutation("trips:note")
    text = "SELECT _doc FROM notes ORDER BY _creationTime"
    asked = {"sql": text, "format": "json", "documents": True}
    documents = [row["_doc"] for row in ask(running, asked).json()]
    assert [set(each) - {"_id", "_creationTime"} for each in documents] == [
        {"kind", "text"},
        {"kind"},
    ]
    assert documents[0]["text"] is None
    everything = {"sql": "SELECT * FROM notes", "format": "json"}
    assert "_doc" not in ask(running, everything).json()[0]


def test_whole_documents_have_their_vectors(running: Deployment) -> None:
    """In the mirror they are packed, as in the store."""
    vector = [n / 7 for n in range(70)]
    running.mutation(
        "trips:note", kind="vector", text="$", e=vector, deep={"e": vector}
    )
    text = "SELECT _doc, e, deep FROM notes WHERE kind = 'vector'"
    asked = {"sql": text, "format": "json", "documents": True}
    (row,) = ask(running, asked).json()
    assert row["e"] == row["deep"]["e"] == vector
    assert row["_doc"]["e"] == row["_doc"]["deep"]["e"] == vector


def test_a_moment_that_was_asked_for_is_not_moved(running: Deployment) -> None:
    """Too early for the mirror, not come yet, or no timestamp: each says so."""
    assert ask(running, COUNT).status_code == 200
    early = ask(running, {**COUNT, "ts": "1"})
    late = ask(running, {**COUNT, "ts": str(2**63 - 1)})
    assert [each.json()["code"] for each in (early, late)] == ["OutOfRetention"] * 2
    wrong = ask(running, {**COUNT, "ts": "yesterday"})
    assert wrong.json()["code"] == "ArgumentValidationError"
