"""What the vector follower says is what comparing every document says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace
from tests.engine.conftest import Clock
from tests.followers.vectors import (
    Searched,
    assert_same,
    documents_of,
    push,
    schema_of,
)

from convexlab import knobs
from convexlab.documents.ids import decode_id
from convexlab.documents.schema import define_schema
from convexlab.documents.value import UNDEFINED, Int64
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import FollowerBehind, InvalidArguments, OutOfRetention
from convexlab.followers.vector.follower import Vectors
from convexlab.followers.vector.request import (
    VectorAnswer,
    decode_answer,
    decode_request,
    encode_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from convexlab.engine.persistence.contract import Persistence


def searched_in(
    folder: Path | None,
    dimensions: int = 3,
    *,
    persistence: Persistence | None = None,
    **options: Any,
) -> Searched:
    store = persistence or MemoryPersistence()
    committer = Committer(store, now_ns=Clock())
    push(committer, schema_of(dimensions, **options))
    return Searched(committer, store, folder)


@pytest.fixture
def searched(tmp_path: Path, persistence: Persistence) -> Searched:
    return searched_in(tmp_path / "vectors", persistence=persistence)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lists are cut from a few vectors on."""
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", 200)
    monkeypatch.setattr(knobs, "VECTOR_PAST_ROWS", 50)
    monkeypatch.setattr(knobs, "VECTOR_PAST_SECONDS", 0.5)


def insert(searched: Searched, *documents: Any) -> list[bytes]:
    ids = searched(lambda tx: tx.insert_many("t", documents))
    return [decode_id(id_)[1] for id_ in ids]


def now(searched: Searched) -> dict[bytes, dict[str, Any]]:
    return documents_of(searched.committer.begin(writable=False))


# -- which documents are there -----------------------------------------------------


def test_the_nearest_come_first_with_their_cosines(searched: Searched):
    a, b, c = insert(
        searched, {"e": [1, 0, 0]}, {"e": [3.0, 4.0, 0.0]}, {"e": [-2.0, 0, 0]}
    )
    searched.following.advance()
    assert searched.ask([2, 0, 0]) == [
        (a, 1.0),
        (b, pytest.approx(0.6)),
        (c, -1.0),
    ]
    assert searched.ask([2, 0, 0], 1) == [(a, 1.0)]


@pytest.mark.parametrize(
    "value",
    [
        UNDEFINED, None, "text", [], [1, 0], [1, 0, 0, 0], [1, 0, "x"],
        [Int64(1), 0, 0], [1, 0, float("nan")], [float("inf"), 0, 0], [True, False, True],
    ],
)  # fmt: skip
def test_what_is_no_vector_of_the_index_is_not_found(searched: Searched, value: Any):
    document = {} if value is UNDEFINED else {"e": value}
    insert(searched, document)
    searched.following.advance()
    assert searched.ask([1, 0, 0]) == []


def test_no_length_is_too_great_or_too_small(searched: Searched):
    huge, tiny, zero = insert(
        searched, {"e": [1e300, 0, 0]}, {"e": [5e-324, 0, 0]}, {"e": [0, 0, 0]}
    )
    searched.following.advance()
    assert set(searched.ask([1e-30, 0, 0])[:2]) == {(huge, 1.0), (tiny, 1.0)}
    assert searched.ask([1e-30, 0, 0])[2] == (zero, 0.0)


def test_equally_near_ones_are_in_the_order_of_ids(searched: Searched):
    ids = insert(searched, *[{"e": [1, 1, 1]}] * 20)
    searched.following.advance()
    assert [id_ for id_, _ in searched.ask([1, 1, 1], 20)] == sorted(ids)


def test_a_vector_that_is_not_finite_is_refused(searched: Searched):
    searched.following.advance()
    with pytest.raises(InvalidArguments, match="NaN"):
        searched.ask([float("nan"), 0, 0])


def test_a_vector_of_another_length_is_refused(searched: Searched):
    insert(searched, {"e": [1, 0, 0]})
    with pytest.raises(InvalidArguments, match="has 2 dimensions, and the index has 3"):
        searched.ask([1.0, 0.0])


def ask_together(searched: Searched, questions: Any, filters: Any) -> VectorAnswer:
    asked = decode_request(searched.request(questions, 5, filters))
    request = encode_request(replace(asked, searches=len(questions)))
    return decode_answer(searched.vectors.answer(request, searched.vectors.watermark))


@pytest.mark.parametrize("filters", [None, {"owner": [1]}, {"owner": [9]}])
def test_several_are_searched_at_once_as_each_alone(searched: Searched, filters: Any):
    chance = np.random.default_rng(3)
    vectors = chance.normal(size=(30, 3)).tolist()
    insert(searched, *({"e": e, "owner": n % 3} for n, e in enumerate(vectors)))
    searched.following.advance()
    questions = [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1e-30, -1e-30, 0.0], [3.0, 4, 5]]
    said = ask_together(searched, questions, filters)
    alone = [
        hit for each in questions for hit in searched.ask(each, 5, filters=filters)
    ]
    assert [said.ids[at : at + 16] for at in range(0, len(said.ids), 16)] == [
        id_ for id_, _ in alone
    ]
    assert np.frombuffer(said.scores, "<f4").tolist() == [score for _, score in alone]
    with pytest.raises(InvalidArguments, match="NaN"):
        ask_together(searched, [[1.0, 0, 0], [np.nan, 0, 0]], filters)


def test_filters_are_values_one_of_which_a_document_has(searched: Searched):
    a, b, c, d = insert(
        searched,
        {"e": [1, 0, 0], "owner": "ann", "meta": {"kind": 1}},
        {"e": [1, 1, 0], "owner": "bob", "meta": {"kind": 2.0}},
        {"e": [1, 1, 1], "owner": None},
        {"e": [0, 1, 1]},
    )
    searched.following.advance()

    def passing(**filters: Any) -> set[bytes]:
        wanted = {field.replace("_", "."): values for field, values in filters.items()}
        return {id_ for id_, _ in searched.ask([1, 0, 0], filters=wanted)}

    assert passing(owner=["ann"]) == {a}
    assert passing(owner=["ann"], meta_kind=[2]) == {a, b}
    assert passing(owner=[None]) == {c}
    assert passing(owner=[UNDEFINED]) == {d}
    assert passing(owner=["eve"]) == set()
    assert passing() == set()
    assert passing(owner=["ann", "bob", None, UNDEFINED]) == {a, b, c, d}


def test_only_the_active_schemas_index_is_there(searched: Searched):
    insert(searched, {"e": [1, 0, 0]}, {"e": [1, 0]})
    searched.following.advance()
    asked = searched.request([1, 0, 0])
    push(searched.committer, schema_of(2))
    searched.following.advance()
    with pytest.raises(FollowerBehind, match="Try again"):
        searched.vectors.answer(asked, searched.vectors.watermark)
    assert len(searched.ask([1, 0])) == 1
    push(searched.committer, define_schema({}))
    searched.following.advance()
    assert searched.vectors.indexes == {}


# -- as of a moment -----------------------------------------------------------------


def test_an_answer_as_of_a_moment_ago_is_exact(searched: Searched):
    searched.following.advance()
    (a,) = insert(searched, {"e": [1, 0, 0]})
    first = searched.now
    text = searched.committer.begin(writable=False)
    (document,) = documents_of(text).values()
    searched(lambda tx: tx.patch(document["_id"], {"e": [0, 1, 0]}))
    second = searched.now
    searched(lambda tx: tx.delete(document["_id"]))
    searched.following.advance()
    assert searched.ask([1, 0, 0], at=first) == [(a, 1.0)]
    assert searched.ask([1, 0, 0], at=second) == [(a, 0.0)]
    assert searched.ask([1, 0, 0]) == []


def test_before_the_index_began_there_is_no_answer(searched: Searched):
    insert(searched, {"e": [1, 0, 0]})
    before = searched.now
    insert(searched, {"e": [1, 0, 0]})
    searched.following.advance()
    insert(searched, {"e": [1, 0, 0]})
    searched.following.advance()
    with pytest.raises(OutOfRetention, match="the oldest that it has"):
        searched.ask([1, 0, 0], at=before)


def test_a_moment_while_there_was_no_index_is_refused(searched: Searched):
    """Whatever the order in which the documents were taken in."""
    for _ in range(12):
        before = searched.now
        searched(lambda tx: tx.insert("t", {"e": [1, 0, 0]}))
    searched.following.advance()
    with pytest.raises(OutOfRetention):
        searched.ask([1, 0, 0], at=before)


def test_a_document_that_went_before_the_index_began_is_not_passed_over(
    searched: Searched,
):
    """Nothing that the index holds is newer than the moment that is asked of."""
    kept, gone = searched(lambda tx: tx.insert_many("t", [{"e": [1, 0, 0]}] * 2))
    before = searched.now
    searched(lambda tx: tx.delete(gone))
    for _ in range(2):
        searched.following.advance()
        with pytest.raises(OutOfRetention):
            searched.ask([1, 0, 0], at=before)
        found = searched.ask([1, 0, 0], at=searched.now)
        assert [id_ for id_, _ in found] == [decode_id(kept)[1]]
        searched.vectors.rest()
        searched.follow()  # from its files


def test_superseded_vectors_are_forgotten_in_time(searched: Searched, many: None):
    insert(searched, {"e": [1, 0, 0]})
    (document,) = now(searched).values()
    searched.following.advance()
    first = searched.now
    for n in range(200):
        searched(lambda tx, n=n: tx.patch(document["_id"], {"e": [1, n + 1, 0]}))
        searched.following.advance()
        searched.vectors.indexes[searched.definition()[0], "near"].check()
    (index,) = searched.vectors.indexes.values()
    assert index.versions.dead <= 52
    assert len(searched.ask([1, 0, 0])) == 1
    with pytest.raises(OutOfRetention):
        searched.ask([1, 0, 0], at=first)


def test_a_write_that_leaves_the_vector_alone_changes_nothing(searched: Searched):
    insert(searched, {"e": [1, 0, 0], "text": "a"})
    searched.following.advance()
    (index,) = searched.vectors.indexes.values()
    changed_ts = index.changed_ts
    (document,) = now(searched).values()
    searched(lambda tx: tx.patch(document["_id"], {"text": "b"}))
    searched.following.advance()
    assert (index.changed_ts, index.versions.dead) == (changed_ts, 0)


# -- many of them -------------------------------------------------------------------


def clustered(chance: np.random.Generator, count: int, dimensions: int) -> Any:
    centres = np.random.default_rng(0).normal(size=(40, dimensions))
    return centres[chance.integers(0, 40, count)] + 0.4 * chance.normal(
        size=(count, dimensions)
    )


@pytest.mark.parametrize("quantization", [None, "int8"])
def test_lists_are_cut_when_there_are_many_and_lose_nothing(
    many: None, quantization: Any
):
    chance = np.random.default_rng(1)
    searched = searched_in(None, 16, quantization=quantization)
    vectors = clustered(chance, 3000, 16)
    for start in (0, 100, 1000):
        searched(
            lambda tx, start=start: tx.insert_many(
                "t",
                [
                    {"e": e.tolist(), "owner": n % 97, "meta": {"kind": n % 2}}
                    for n, e in enumerate(vectors[start : start * 10 or 100])
                ],
            )
        )
        searched.following.advance()
    searched(
        lambda tx: [
            tx.delete(document["_id"])
            for document in list(documents_of(tx).values())[::3]
        ]
    )
    searched.following.advance()
    (index,) = searched.vectors.indexes.values()
    index.check()
    assert index.lists.count > 50
    documents, hits, wanted = now(searched), 0, 0
    for query in clustered(chance, 12, 16):
        for filters in (None, {"meta.kind": [1]}, {"owner": [3]}, {"owner": [5, 6]}):
            found = searched.ask(query, 10, filters=filters)
            expected = searched.expect(query, 10, documents, filters)
            assert len(found) == len(expected)
            hits += len(dict(found).keys() & dict(expected).keys())
            wanted += len(expected)
        few = searched.ask(query, 100, filters={"owner": [3]})
        assert len(few) == len(searched.expect(query, 100, documents, {"owner": [3]}))
    assert hits / wanted > (0.95 if quantization is None else 0.9)
    assert len(searched.ask(vectors[0], 256)) == 256


def test_lists_are_cut_beside_the_old_while_writes_go_on(many: None):
    chance = np.random.default_rng(2)
    searched = searched_in(None, 4)
    held: list[Any] = []
    searched.vectors._start = held.append
    searched.following.advance()
    documents = [{"e": e.tolist()} for e in clustered(chance, 500, 4)]
    ids = searched(lambda tx: tx.insert_many("t", documents))
    searched.following.advance()
    (index,) = searched.vectors.indexes.values()
    assert index.is_building
    searched(lambda tx: [tx.delete(id_) for id_ in ids[:100]])
    searched(
        lambda tx: [
            tx.patch(id_, {"e": [1, 0, 0, n]}) for n, id_ in enumerate(ids[100:150])
        ]
    )
    searched(lambda tx: tx.insert_many("t", documents[:80]))
    searched.following.advance()
    assert index.lists.count == 1
    (build,) = held
    build()
    assert index.lists.count > 10
    assert not index.is_building
    index.check()
    index.lists.probes = (index.lists.count,) * 2
    for query in clustered(chance, 20, 4):
        assert_same(searched.ask(query, 30), searched.expect(query, 30, now(searched)))


# -- at rest ------------------------------------------------------------------------


def test_it_goes_on_from_its_files(searched: Searched):
    insert(searched, {"e": [1, 0, 0], "owner": "ann"}, {"e": [0, 1, 0]})
    searched.following.advance()
    searched.vectors.checkpoint()
    insert(searched, {"e": [0, 0, 1], "owner": "ann"})
    searched.follow()
    assert searched.vectors.watermark > 0
    before = searched.ask([1, 1, 0], filters={"owner": ["ann"]})
    searched.following.advance()
    assert len(before) == 1
    assert len(searched.ask([1, 1, 0], filters={"owner": ["ann"]})) == 2
    (index,) = searched.vectors.indexes.values()
    index.check()


def test_what_was_not_put_to_rest_is_read_from_the_log(searched: Searched):
    insert(searched, *[{"e": [1, n, 0]} for n in range(100)])
    searched.following.advance()
    searched.vectors.checkpoint()
    insert(searched, {"e": [0, 0, 1]})
    searched.following.advance()
    searched.vectors.close()  # one in a hundred: not worth writing all anew
    saved = searched.vectors._saved_ts
    searched.follow()
    assert searched.vectors.watermark == saved < searched.now
    searched.following.advance()
    assert len(searched.ask([0, 0, 1], 200)) == 101


@pytest.mark.usefixtures("many")
def test_lists_that_were_cut_since_are_put_to_rest_without_a_commit(
    searched: Searched,
):
    insert(searched, *[{"e": [1, n, -n]} for n in range(300)])
    works: list[Callable[[], None]] = []
    searched.vectors._start = works.append
    searched.following.advance()
    searched.vectors.checkpoint()  # before the lists are there
    searched.follow()  # a keeper that was killed: it cuts them when it opens
    (index,) = searched.vectors.indexes.values()
    assert index.lists.count > 1
    searched.vectors.close()
    searched.vectors = Vectors(searched.folder, start=works.append)
    (index,) = searched.vectors.indexes.values()
    assert index.lists.count > 1
    assert len(works) == 1, "it had nothing to cut again"


def test_what_is_searched_much_is_put_to_rest_though_little_has_changed(
    searched: Searched,
):
    insert(searched, *[{"e": [1, n, 0]} for n in range(100)])
    searched.following.advance()
    searched.vectors.checkpoint()
    insert(searched, {"e": [0, 0, 1]})
    searched.following.advance()
    (index,) = searched.vectors.indexes.values()
    told: list[int] = []
    searched.vectors.done = lambda: told.append(index.asked)
    for _ in range(101):
        searched.ask([0, 0, 1])
        searched.ask([0, 0, 1], filters={"owner": [1]})  # these are the keeper's anyway
    searched.vectors.checkpoint()
    assert index.saved is None
    assert not told
    searched.ask([0, 0, 1])
    searched.ask([0, 0, 1])
    assert told == [102]
    searched.vectors.checkpoint()
    assert index.saved is not None
    insert(searched, {"e": [0, 0, 2]})
    searched.following.advance()
    assert (index.saved, index.asked) == (None, 0)


def test_what_is_too_large_to_be_looked_at_is_not_put_to_rest_for_that(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "NEAR_BYTES", 20)
    insert(searched, {"e": [0, 0, 1]})
    searched.following.advance()
    (index,) = searched.vectors.indexes.values()
    for _ in range(5):
        searched.ask([0, 0, 1])
    assert not index.wants_rest
    monkeypatch.setattr(knobs, "NEAR_BYTES", 1_000)
    assert index.wants_rest


def test_what_is_searched_while_others_change_is_put_to_rest(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
):
    insert(searched, {"e": [0, 0, 1]})
    searched.following.advance()
    (index,) = searched.vectors.indexes.values()
    for _ in range(2):
        searched.ask([0, 0, 1])
    insert(searched, {"other": 1})
    searched.following.advance()
    assert index.saved is None, "it has changed just now"
    monkeypatch.setattr(knobs, "FOLLOWER_IDLE_SECONDS", 0.0)
    insert(searched, {"other": 2})
    searched.following.advance()
    assert index.saved is not None


@pytest.mark.parametrize("spoil", ["state.json", "*.faiss", "*.columns"])
@pytest.mark.parametrize("how", ["cut", "flip", "remove"])
def test_broken_files_are_made_again(searched: Searched, spoil: str, how: str):
    insert(searched, *[{"e": [1, n, 0]} for n in range(5)])
    searched.following.advance()
    searched.vectors.checkpoint()
    expected = searched.ask([1, 0, 0])
    assert searched.folder is not None
    (path,) = searched.folder.glob(spoil)
    body = path.read_bytes()
    if how == "cut":
        path.write_bytes(body[: len(body) // 2])
    elif how == "flip":
        path.write_bytes(body[:20] + bytes([body[20] ^ 1]) + body[21:])
    else:
        path.unlink()
    searched.follow()
    assert searched.vectors.watermark == 0 or (spoil, how) == ("state.json", "flip")
    searched.following.advance()
    assert searched.ask([1, 0, 0]) == expected


def test_a_checkpoint_leaves_no_older_files(searched: Searched):
    for n in range(3):
        insert(searched, {"e": [1, n, 0]})
        searched.following.advance()
        searched.vectors.checkpoint()
    assert searched.folder is not None
    assert len(list(searched.folder.iterdir())) == 3


def test_status_tells_what_there_is(searched: Searched):
    insert(searched, {"e": [1, 0, 0]})
    searched.following.advance()
    (told,) = searched.following.status()["indexes"]  # type: ignore[misc]
    assert (told["table"], told["index"], told["vectors"]) == ("t", "near", 1)
    assert told["bytes"] >= 3 * 4


# -- anything that can happen ---------------------------------------------------------

_numbers = st.integers(-3, 3)
_vectors = st.one_of(
    st.lists(_numbers, min_size=3, max_size=3),
    st.sampled_from([None, [1, 2], "no"]),
)
_documents = st.fixed_dictionaries(
    {"e": _vectors},
    optional={"owner": st.integers(0, 2), "meta": st.just({"kind": "x"})},
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), _documents),
        st.tuples(st.just("replace"), st.integers(0, 30), _documents),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.just("advance")),
        st.tuples(st.just("rest")),
        st.tuples(st.just("die")),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(
    steps=_steps,
    query=st.lists(_numbers, min_size=3, max_size=3),
    limit=st.integers(1, 8),
    filters=st.sampled_from(
        [None, {"owner": [1]}, {"owner": [0, 2], "meta.kind": ["x"]}, {}]
    ),
)
def test_any_history_is_answered_as_brute_force_does(
    tmp_path_factory: pytest.TempPathFactory,
    steps: Any,
    query: list[int],
    limit: int,
    filters: Any,
):
    searched = searched_in(tmp_path_factory.mktemp("any") / "vectors")
    searched.following.advance()
    moments: dict[int, dict[bytes, dict[str, Any]]] = {}
    for name, *values in steps:
        _take(searched, name, values)
        moments[searched.now] = now(searched)
    searched.following.advance()
    for index in searched.vectors.indexes.values():
        index.check()
        exact_from = index.exact_from
        for at, documents in moments.items():
            if at >= exact_from:
                found = searched.ask(query, limit, at=at, filters=filters)
                assert_same(found, searched.expect(query, limit, documents, filters))


def _take(searched: Searched, name: str, values: list[Any]) -> None:
    ids = [document["_id"] for document in now(searched).values()]
    match name, values:
        case "insert", [document]:
            searched(lambda tx: tx.insert("t", document))
        case "replace", [number, document] if ids:
            searched(lambda tx: tx.replace(ids[number % len(ids)], document))
        case "delete", [number] if ids:
            searched(lambda tx: tx.delete(ids[number % len(ids)]))
        case "advance", _:
            searched.following.advance()
        case "rest", _:
            searched.vectors.checkpoint()
        case "die", _:
            searched.follow()


# -- while a table is walked ----------------------------------------------------------


def test_what_there_is_stays_current_while_a_new_index_is_filled(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
):
    """And the new one has what came, changed and went while it was filled."""
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_DOCUMENTS", 2)
    vectors = {n: [1.0, n / 10, 0.0] for n in range(7)}
    ids = searched(lambda tx: tx.insert_many("u", [{"e": e} for e in vectors.values()]))
    insert(searched, {"e": [1.0, 0.0, 0.0]})
    searched.following.advance()
    schema = schema_of(3)
    push(searched.committer, define_schema({**schema.tables, "u": schema.tables["t"]}))
    u = searched.committer.catalog.tables["u"].number
    of_u = replace(decode_request(searched.request([1, 0, 0], 99)), table=u)
    take, commits = searched.vectors.take, [Timestamp(0)]

    def take_while_commits_go_on(table: Any, revisions: Any) -> None:
        assert searched.following.is_at(commits[-1])
        assert searched.following.has(searched.request([1, 0, 0]))
        assert not searched.following.has(encode_request(of_u))
        assert len(searched.ask([1, 0, 0])) == len(commits)
        step = len(commits) - 1
        insert(searched, {"e": [0.0, 1.0, 0.0]})
        if step == 0:  # what is given, and what is yet to be
            for n in (0, 5):
                searched(lambda tx, n=n: tx.patch(ids[n], {"e": [0.0, 0.0, 1.0]}))
            searched(lambda tx: tx.delete(ids[6]))
        if step == 1:
            searched(lambda tx: tx.delete(ids[1]))
            searched(lambda tx: tx.insert_many("u", [{"e": [0.0, 0.0, -1.0]}]))
        commits.append(searched.now)
        take(table, revisions)

    monkeypatch.setattr(searched.vectors, "take", take_while_commits_go_on)
    searched.following.advance()
    assert len(commits) > 3
    assert searched.following.has(encode_request(of_u))
    found = decode_answer(
        searched.vectors.answer(encode_request(of_u), searched.vectors.watermark)
    )
    expected = [1 / np.hypot(1, n / 10) for n in (2, 3, 4)] + [0.0] * 3
    assert np.frombuffer(found.scores, "<f4").tolist() == pytest.approx(expected)
    for index in searched.vectors.indexes.values():
        index.check()
