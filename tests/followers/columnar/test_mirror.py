"""The mirror says what the documents are, and were, whatever is in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.engine.conftest import Steps
from tests.followers.columnar.looks import (
    documents,
    hurrying,
    insert,
    left_by_a_kill,
    rows,
)
from tests.functions.strategies import vectors

from convexlab import knobs
from convexlab.documents.bodies import to_text
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.engine import alterations
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.errors import OutOfRetention
from convexlab.followers.columnar.file import FORMAT, LATE
from convexlab.followers.columnar.mirror import Mirror
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convexlab.engine.persistence.contract import Persistence


def types(mirror: Mirror) -> dict[str, str]:
    with mirror.reading(mirror.watermark) as reading:
        source = reading.source(reading.tables["t"], reading.tables["t"].fields())
        described = reading.connection.execute(f"DESCRIBE {source}").fetchall()
        return {name: of for name, of, *_ in described if not name.startswith("_")}


# -- columns ------------------------------------------------------------------------


def test_columns_are_typed_by_what_is_in_them(
    steps: Any, following: Following, mirror: Mirror
):
    steps(
        insert(
            {
                "n": 1,
                "i": Int64(5),
                "s": "x",
                "b": True,
                "raw": b"\0",
                "tags": ["a", "b"],
                "spot": {"lat": 1.5, "name": "here", "deep": [{"x": 1}]},
                "nothing": None,
            }
        )
    )
    following.advance()
    assert types(mirror) == {
        "n": "BIGINT",
        "i": "BIGINT",
        "s": "VARCHAR",
        "b": "BOOLEAN",
        "raw": "BLOB",
        "tags": "VARCHAR[]",
        "spot": 'STRUCT(lat DOUBLE, "name" VARCHAR, deep STRUCT(x BIGINT)[])',
        "nothing": "JSON",
    }
    assert rows(mirror, "n, i, s, b, raw, tags, spot.lat, spot.deep[1].x, nothing") == [
        (1, 5, "x", True, b"\0", ["a", "b"], 1.5, 1, None)
    ]


def test_a_value_that_does_not_fit_widens_its_column_and_nothing_is_lost(
    steps: Any, following: Following, mirror: Mirror
):
    steps(insert({"n": 1, "spot": {"x": 1}, "tags": [1]}))
    following.advance()
    steps(insert({"n": "many", "spot": {"y": "q"}, "tags": ["a"], "new": True}, {}))
    following.advance()
    assert types(mirror) == {
        "n": "JSON",
        "spot": "STRUCT(x BIGINT, y VARCHAR)",
        "tags": "JSON[]",
        "new": "BOOLEAN",
    }
    assert rows(mirror, "n, spot.x, spot.y, tags, new") == [
        ("1.0", 1.0, None, ["1.0"], None),
        ('"many"', None, "q", ['"a"'], True),
        (None, None, None, None, None),
    ]


def test_names_that_sql_takes_for_equal_or_for_its_own_are_all_there(
    steps: Any, following: Following, mirror: Mirror
):
    steps(insert({"a": 1, "A": 2, "select": 3, "c0": 4, "from to": {"x": 1, "X": 2}}))
    following.advance()
    assert rows(mirror, '"a", "A_2", "select", "c0", "from to"') == [
        (1.0, 2.0, 3.0, 4.0, '{"x":1.0,"X":2.0}')
    ]


def test_a_column_is_exact_while_it_compares_as_documents_do(
    steps: Any, following: Following, mirror: Mirror
):
    steps(insert({"a": 1, "b": None, "c": -0.0, "d": 1, "e": [1]}, {"d": "x", "e": []}))
    following.advance()
    with mirror.reading(mirror.watermark) as reading:
        columns = reading.tables["t"].columns
    assert {name for name, column in columns.items() if column.is_exact} == {"a"}
    assert (columns["b"].has_null, columns["b"].has_missing) == (True, True)
    assert columns["c"].has_odd


def test_who_reads_fetches_documents_of_the_first_rows_alone(
    steps: Any, following: Following, mirror: Mirror
):
    """What is set of DuckDB holds for all connections."""
    steps(insert({"n": 1}))
    following.advance()
    with mirror.reading(mirror.watermark) as reading:
        setting = f"SELECT current_setting('{LATE}')"
        assert reading.connection.execute(setting).fetchone() == (
            knobs.SCAN_ORDERED_ROWS,
        )


# -- commits -------------------------------------------------------------------------


def test_m1_it_follows_inserts_updates_and_deletions_in_one_run(
    steps: Any, following: Following, mirror: Mirror
):
    a, b, _ = steps(insert({"n": 1}, {"n": 2}, {"n": 3}))
    following.advance()
    steps(lambda tx: tx.patch(a, {"n": 10}))
    steps(lambda tx: tx.patch(a, {"n": 11}))
    steps(lambda tx: tx.delete(b))
    (d,) = steps(insert({"n": 4}))
    steps(lambda tx: tx.delete(d))
    following.advance()
    assert rows(mirror, "n") == [(11.0,), (3.0,)]
    assert mirror.status()["documents"] == 2


def test_m2_it_answers_as_of_then(
    steps: Any, committer: Committer, following: Following, mirror: Mirror
):
    (a,) = steps(insert({"n": 1}))
    following.advance()
    expected = {}
    for number in range(2, 6):
        steps(lambda tx, number=number: tx.patch(a, {"n": number}))
        expected[committer.ts] = [(float(number),)]
    steps(lambda tx: tx.delete(a))
    following.advance()
    for ts, then in expected.items():
        assert rows(mirror, "n", at=ts) == then
    assert rows(mirror, "n") == []


def test_m2_before_it_began_it_does_not_guess(
    steps: Any, committer: Committer, following: Following, mirror: Mirror
):
    steps(insert({"n": 1}))
    then = committer.ts
    steps(insert({"n": 2}))
    following.advance()
    steps(insert({"n": 3}))
    following.advance()
    with pytest.raises(OutOfRetention, match="no state as of"):
        rows(mirror, "n", at=then)


# -- its file --------------------------------------------------------------------------


def test_it_goes_on_where_it_stood(
    steps: Any,
    persistence: Persistence,
    following: Following,
    mirror: Mirror,
    path: Path,
):
    steps(insert({"n": 1}))
    following.advance()
    mirror.close()
    again = Mirror(path)
    assert again.watermark == mirror.watermark
    steps(insert({"n": "x"}))
    Following(persistence, again).advance()
    assert rows(again, "n") == [("1.0",), ('"x"',)]
    again.close()


def test_what_was_not_written_is_taken_from_the_log_again(
    steps: Any,
    persistence: Persistence,
    following: Following,
    mirror: Mirror,
    path: Path,
):
    """A keeper that is killed leaves a file as of some time ago, and whole."""
    steps(insert({"n": 1}))
    following.advance()
    assert rows(mirror, "n") == [(1.0,)]
    steps(insert({"n": 2}))
    following.advance()
    again = Mirror(left_by_a_kill(path))
    assert again.watermark < mirror.watermark
    Following(persistence, again).advance()
    assert rows(again, "n") == rows(mirror, "n") == [(1.0,), (2.0,)]
    again.close()


def test_a_run_that_only_deletes_says_nothing_of_objects(
    steps: Any, committer: Committer, following: Following, mirror: Mirror
):
    steps(insert({"n": 1, "at": {"x": 1}}))
    following.advance()
    tx = committer.begin(writable=False)
    (document,) = tx.documents(committer.catalog.tables["t"].by_creation_time)
    steps(lambda tx: tx.delete(document["_id"]))
    following.advance()
    assert rows(mirror, "n") == []


@pytest.mark.parametrize("damage", ["broken", "another format", "half built"])
def test_a_file_that_cannot_be_gone_on_with_is_made_again(  # noqa: PLR0917
    steps: Any,
    persistence: Persistence,
    following: Following,
    mirror: Mirror,
    path: Path,
    damage: str,
    monkeypatch: pytest.MonkeyPatch,
):
    steps(insert({"n": 1}))
    if damage == "half built":
        monkeypatch.setattr(mirror, "took", lambda _: None)
    following.advance()
    if damage == "another format":
        mirror._file.connection.execute(
            "UPDATE store.state SET json = replace(json, ?, ?)",
            [f'"format":{FORMAT}', '"format":9999'],
        )
    mirror.close()
    if damage == "broken":
        path.write_bytes(b"\0" * 20_000)
    again = Mirror(path)
    Following(persistence, again).advance()
    assert rows(again, "n") == [(1.0,)]
    again.close()


def test_a_table_that_is_gone_leaves_nothing(
    steps: Any, committer: Committer, following: Following, mirror: Mirror
):
    from convexlab.engine.definitions import set_table_state

    steps(insert({"n": 1}))
    following.advance()
    table = committer.catalog.tables["t"]
    steps(lambda tx: set_table_state(tx, table, "deleting"), system=True)
    following.advance()
    assert mirror.status()["tables"] == 0


# -- whatever is committed ---------------------------------------------------------------

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([1.5, -0.0, float("nan"), float("inf"), Int64(2**62)]),
    st.sampled_from(["", "x", "ü\0"]),
    st.just(b"\xff"),
    st.lists(st.integers(0, 1) | st.just("s"), max_size=2),
    vectors,
    st.dictionaries(
        st.sampled_from(["x", "X", "y"]), st.integers(0, 1) | st.none() | vectors
    ),
)
fields = st.dictionaries(st.sampled_from(["a", "A", "b"]), values)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), fields),
        st.tuples(
            st.just("patch"),
            st.tuples(
                st.integers(0, 5),
                st.dictionaries(st.sampled_from("ab"), values | st.just(UNDEFINED)),
            ),
        ),
        st.tuples(st.just("delete"), st.integers(0, 5)),
        st.tuples(st.just("advance"), st.none()),
    ),
    max_size=15,
)


@settings(max_examples=40, deadline=None)
@given(operations, st.booleans())
def test_m1_m2_its_documents_are_the_stores_now_and_then(todo: Any, is_behind: bool):
    with pytest.MonkeyPatch.context() as monkeypatch:
        if is_behind:
            hurrying(monkeypatch)
        follow_and_compare(todo)


def follow_and_compare(todo: Any) -> None:
    store = MemoryPersistence()
    committer = Committer(store)
    steps = Steps(committer)
    mirror = Mirror(None)
    following = Following(store, mirror)
    ids: list[str] = []
    began, expected = None, {}
    for what, which in todo:
        if what == "advance":
            following.advance()
            began = began or (committer.ts if mirror.names else None)
            continue
        if what == "insert":
            ids.append(steps(lambda tx, which=which: tx.insert("t", which)))
        elif ids and what == "patch":
            number, change = which
            chosen = ids[number % len(ids)]
            steps(lambda tx, chosen=chosen, change=change: tx.patch(chosen, change))
        elif ids:
            chosen = ids.pop(which % len(ids))
            steps(lambda tx, chosen=chosen: tx.delete(chosen))
        if "t" in committer.catalog.tables:
            expected[committer.ts] = bodies(steps)
    following.advance()
    for ts, then in expected.items():
        if began is not None and ts >= began:
            assert documents(mirror, ts) == then
    if expected:
        assert documents(mirror) == expected[max(expected)]
    mirror.close()


def bodies(steps: Steps) -> list[Any]:
    from convexlab.engine.interval import EVERYTHING

    tx = steps.committer.begin()
    index = tx.catalog.tables["t"].by_creation_time.id
    return [
        json.loads(to_text(revision.body)) for _, revision in tx.rows(index, EVERYTHING)
    ]


def test_a_document_of_an_emptied_table_is_followed_by_its_id(
    persistence: Persistence, committer: Committer, following: Following, mirror: Mirror
):
    """Its ids bear the number that the table had before."""

    def system(change: Callable[[Any], object]) -> None:
        tx = committer.begin(system=True)
        change(tx)
        committer.accept(tx.finish())
        committer.settle_all()

    system(insert({"n": 1}))
    following.advance()
    system(lambda tx: alterations.empty_table(tx, tx.catalog.tables["t"]))
    system(insert({"n": 2}))
    following.advance()
    (key,) = [document["_id"] for document in documents(mirror)]
    system(lambda tx: tx.patch(key, {"n": 3}))
    following.advance()
    assert [document["n"] for document in documents(mirror)] == [3]


def test_at_rest_the_file_is_opened_anew_when_much_has_come(
    steps: Any,
    following: Following,
    mirror: Mirror,
    monkeypatch: pytest.MonkeyPatch,
):
    """Not while somebody reads, nor where rows are kept beside it; nothing is lost."""
    monkeypatch.setattr(knobs, "MIRROR_FRESH_DOCUMENTS", 3)
    steps(insert({"n": 1}, {"n": 2}))
    following.advance()
    opened = mirror._file.connection
    mirror.checkpoint()
    assert mirror._file.connection is opened  # two are few
    steps(insert({"n": 3}))
    following.advance()
    with mirror.reading(mirror.watermark):
        mirror.checkpoint()
        assert mirror._file.connection is opened
    opened.execute("ATTACH ':memory:' AS beside").fetchall()
    opened.execute("CREATE TABLE beside.kept (n INTEGER)").fetchall()
    mirror.checkpoint()
    assert mirror._file.connection is opened
    opened.execute("DETACH beside")
    mirror.checkpoint()
    assert mirror._file.connection is not opened
    assert rows(mirror, "n") == [(1,), (2,), (3,)]
    again = mirror._file.connection
    steps(insert({"n": 4}))
    following.advance()
    mirror.checkpoint()
    assert mirror._file.connection is again
    assert rows(mirror, "n") == [(1,), (2,), (3,), (4,)]
