"""What the text follower says is what plain BM25 says, on the counts that it has."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from msgspec.structs import replace
from tests.engine.conftest import Clock
from tests.followers.texts import (
    Counts,
    IndexCounts,
    Searched,
    assert_same,
    plain,
    schema_of,
)
from tests.followers.vectors import documents_of, push

from convexlab import knobs
from convexlab.documents.document import get_path
from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.documents.schema import define_schema
from convexlab.documents.value import UNDEFINED
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import FollowerBehind, OutOfRetention
from convexlab.followers.text.request import (
    Unsettled,
    decode_answer,
    decode_request,
    encode_request,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convexlab.engine.persistence.contract import Persistence


def searched_in(
    folder: Path | None, persistence: Persistence | None = None
) -> Searched:
    store = persistence or MemoryPersistence()
    committer = Committer(store, now_ns=Clock())
    push(committer, schema_of())
    return Searched(committer, store, folder)


@pytest.fixture
def searched(tmp_path: Path, persistence: Persistence) -> Searched:
    return searched_in(tmp_path / "texts", persistence)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Texts go to Tantivy after a few, and few are remembered."""
    monkeypatch.setattr(knobs, "TEXT_TAIL_ROWS", 3)
    monkeypatch.setattr(knobs, "TEXT_PAST_ROWS", 4)
    monkeypatch.setattr(knobs, "TEXT_PAST_SECONDS", 0.5)


def insert(searched: Searched, *documents: Any) -> list[bytes]:
    """Texts, or documents."""
    made = [{"body": d} if isinstance(d, str) else d for d in documents]
    ids = searched(lambda tx: tx.insert_many("t", made))
    searched.following.advance()
    return [decode_id(id_)[1] for id_ in ids]


def now(searched: Searched) -> dict[bytes, dict[str, Any]]:
    return documents_of(searched.committer.begin(writable=False))


def found(
    searched: Searched, text: str, limit: int = 10, **filters: Any
) -> list[bytes]:
    wanted = {field.replace("_", "."): value for field, value in filters.items()}
    return [id_ for id_, _ in searched.ask(text, limit, filters=wanted)]


# -- what is found -------------------------------------------------------------------


def test_one_of_the_words_is_enough_and_more_are_better(searched: Searched):
    both, one, _ = insert(searched, "blue sky", "blue car", "red house")
    assert found(searched, "Sky, blue!") == [both, one]


def test_the_last_word_may_be_a_beginning_and_counts_less(searched: Searched):
    longer, exact, _ = insert(searched, "penguin there", "pen there", "dampen there")
    assert found(searched, "pen") == [exact, longer]
    assert found(searched, "there pen")[:2] == [exact, longer]
    assert longer not in found(searched, "pen x")


def test_equal_ones_come_newest_first(searched: Searched):
    ids = insert(searched, *["one word"] * 20)
    assert found(searched, "word", 20) == ids[::-1]
    searched.texts.rest()
    assert found(searched, "word", 7) == ids[:-8:-1]


@pytest.mark.parametrize("text", ["", "  ", "?!", "x" * 32])
def test_what_has_no_words_finds_nothing(searched: Searched, text: str):
    insert(searched, "a text", "", {"body": None}, {"body": 5}, {})
    assert found(searched, text) == []


def test_accents_and_scripts_are_letters(searched: Searched):
    cafe, tokyo, greek, plain_cafe = insert(
        searched, "Café Été", "東京タワー 2024", "ΟΔΟΣ", "cafe"
    )
    assert found(searched, "CAFÉ") == [cafe]
    assert found(searched, "cafe") == [plain_cafe]
    assert found(searched, "東京") == [tokyo]
    assert found(searched, "タワー") == []
    assert found(searched, "ΟΔΟΣ") == found(searched, "οδο") == [greek]


def test_filters_must_all_hold(searched: Searched):
    a, b, c, d = insert(
        searched,
        {"body": "x", "owner": "ann", "meta": {"kind": 1}},
        {"body": "x", "owner": "ann", "meta": {"kind": 2.0}},
        {"body": "x", "owner": None},
        {"body": "x"},
    )
    for _ in range(2):
        assert found(searched, "x", owner="ann") == [b, a]
        assert found(searched, "x", owner="ann", meta_kind=2) == [b]
        assert found(searched, "x", owner=None) == [c]
        assert found(searched, "x", owner=UNDEFINED) == [d]
        assert found(searched, "x", owner="eve") == []
        searched.texts.rest()  # from the tail, then from Tantivy


def test_only_the_active_schemas_index_is_there(searched: Searched):
    insert(searched, {"body": "a text", "title": "a title"})
    asked = searched.request("text")
    push(searched.committer, schema_of("title"))
    searched.following.advance()
    with pytest.raises(FollowerBehind, match="Try again"):
        searched.texts.answer(asked, searched.texts.watermark)
    assert len(searched.ask("title")) == 1
    push(searched.committer, define_schema({}))
    searched.following.advance()
    assert searched.texts.indexes == {}


# -- as of a moment -------------------------------------------------------------------


def test_an_answer_as_of_a_moment_ago_is_exact(searched: Searched, few: None):
    insert(searched, "some old text", "other text", "more of it", "and text")
    first, were = searched.now, now(searched)
    (old, *_) = were.values()
    searched(lambda tx: tx.patch(old["_id"], {"body": "new words"}))
    second, then = searched.now, now(searched)
    searched(lambda tx: tx.delete(old["_id"]))
    searched.following.advance()
    for text in ("old text", "new", "te"):
        assert_same(searched.ask(text, at=first), searched.plain(were, text))
        assert_same(searched.ask(text, at=second), searched.plain(then, text))
        assert_same(searched.ask(text), searched.plain(now(searched), text))


def test_before_the_index_began_there_is_no_answer(searched: Searched):
    searched(lambda tx: tx.insert("t", {"body": "a"}))
    before = searched.now
    searched(lambda tx: tx.insert("t", {"body": "a"}))
    searched.following.advance()
    insert(searched, "a")
    with pytest.raises(OutOfRetention, match="the oldest that it has"):
        searched.ask("a", at=before)


def test_a_moment_while_there_was_no_index_is_refused(searched: Searched):
    """Whatever the order in which the documents were taken in."""
    for _ in range(12):
        before = searched.now
        searched(lambda tx: tx.insert("t", {"body": "a"}))
    searched.following.advance()
    with pytest.raises(OutOfRetention):
        searched.ask("a", at=before)


def test_a_document_that_went_before_the_index_began_is_not_passed_over(
    searched: Searched,
):
    """Nothing that the index holds is newer than the moment that is asked of."""
    kept, gone = searched(lambda tx: tx.insert_many("t", [{"body": "a"}] * 2))
    before = searched.now
    searched(lambda tx: tx.delete(gone))
    for _ in range(2):
        searched.following.advance()
        with pytest.raises(OutOfRetention):
            searched.ask("a", at=before)
        found = searched.ask("a", at=searched.now)
        assert [id_ for id_, _ in found] == [decode_id(kept)[1]]
        searched.texts.rest()
        searched.follow()  # from its files


def test_superseded_texts_are_forgotten_in_time(searched: Searched, few: None):
    insert(searched, "w0")
    (document,) = now(searched).values()
    first = searched.now
    for n in range(15):
        searched(lambda tx, n=n: tx.patch(document["_id"], {"body": f"w{n + 1}"}))
        searched.following.advance()
        searched.index.check()
    assert searched.index.versions.dead <= 6
    assert len(searched.ask("w15")) == 1
    assert searched.ask("w14") == []
    with pytest.raises(OutOfRetention):
        searched.ask("w0", at=first)


def test_a_write_that_leaves_the_text_alone_changes_nothing(searched: Searched):
    insert(searched, {"body": "a text", "n": 1})
    changed_ts = searched.index.changed_ts
    (document,) = now(searched).values()
    searched(lambda tx: tx.patch(document["_id"], {"n": 2}))
    searched.following.advance()
    assert searched.index.changed_ts == changed_ts


# -- many of them -----------------------------------------------------------------------


def test_the_best_of_many_are_exact_with_much_beside_tantivy():
    """Texts that went and came move averages and counts away from Tantivy's."""
    chance = random.Random(1)
    words = [f"{'abc'[n % 3]}{n}" for n in range(300)]

    def text() -> str:
        picked = [
            words[int(chance.paretovariate(0.6)) % 300]
            for _ in range(chance.randint(1, 40))
        ]
        return " ".join(picked)

    searched = searched_in(None)
    ids = searched(
        lambda tx: tx.insert_many(
            "t", [{"body": text(), "owner": n % 3} for n in range(3000)]
        )
    )
    searched.following.advance()
    searched(lambda tx: [tx.delete(id_) for id_ in ids[:1200]])
    searched.following.advance()
    long = " ".join(words[:3] * 13)
    searched(lambda tx: [tx.patch(id_, {"body": long}) for id_ in ids[1200:1300]])
    insert(searched, *[text() for _ in range(200)])
    searched.index.check()
    documents = now(searched)
    for asked in ("b1", "b1 c2", "a", "c2 b4 a3 b", "b1 b1 zzz", "a0 b7 c8 a9 b10 c"):
        for filters in (None, {"owner": 1}):
            expected = searched.plain(documents, asked, 1024, filters)
            for limit in (1, 10, 1024):
                got = searched.ask(asked, limit, filters=filters)
                assert_same(got, expected[:limit])


def test_thousands_of_equals_are_in_order_of_age():
    searched = searched_in(None)
    bodies = ["thanks a lot", "a lot of thanks"]
    ids = insert(searched, *[bodies[n % 2] for n in range(5000)])
    assert found(searched, "thanks a lot", 5) == ids[-2::-2][:5]
    assert found(searched, "thanks", 5) == ids[-2::-2][:5]


def test_one_text_that_changes_again_and_again_leaves_the_counts_right():
    """What is gone counts until Tantivy forgets it, but not where it is much."""
    searched = searched_in(None)
    draft, *_ = insert(searched, "a draft", *[f"note {n} of many" for n in range(40)])
    for n in range(120):
        (document,) = [each for id_, each in now(searched).items() if id_ == draft]
        searched(
            lambda tx, d=document, n=n: tx.patch(d["_id"], {"body": f"a draft {n}"})
        )
        searched.following.advance()
        if n % 10 == 9:
            searched.index.settle()  # so that Tantivy has some that are gone
    searched.index.check()
    exact = Counts(now(searched))
    for word in ("draft", "note", "7"):
        assert IndexCounts(searched.index, {}).idf(word) == pytest.approx(
            exact.idf(word)
        )
    assert found(searched, "note draft")[0] == draft
    searched.index.trim(searched.now)
    searched.index.check()
    assert found(searched, "note draft")[0] == draft


def test_while_nothing_is_gone_tantivys_counts_are_those_of_the_documents():
    searched = searched_in(None)
    insert(searched, *[f"word w{n % 7} x{n}" for n in range(300)])
    searched.index.settle()
    exact = Counts(now(searched))
    for word in ("word", "w3", "x99"):
        assert IndexCounts(searched.index, {}).idf(word) == pytest.approx(
            exact.idf(word)
        )
    assert_same(searched.ask("w3 x99"), plain(now(searched), "w3 x99", counts=exact))


# -- what is laid over ------------------------------------------------------------------


def test_what_is_laid_over_counts_as_if_it_were_there(searched: Searched, few: None):
    insert(searched, *[f"word{n % 3} and text {n}" for n in range(10)], "rare one")
    before = searched.texts.watermark
    first, second, third, *_ = now(searched).values()
    step = [
        lambda tx: tx.patch(first["_id"], {"body": "rare text", "owner": "ann"}),
        lambda tx: tx.delete(second["_id"]),
        lambda tx: tx.patch(third["_id"], {"body": None}),
        lambda tx: tx.insert("t", {"body": "rare rare word", "owner": "ann"}),
    ]
    searched(lambda tx: [each(tx) for each in step])
    after = now(searched)
    laid = tuple(
        _unsettled(id_, after.get(id_))
        for id_ in {decode_id(d["_id"])[1] for d in (first, second, third)}
        | {id_ for id_, d in after.items() if d.get("body") == "rare rare word"}
    )
    for text in ("rare", "word", "text 5", "w"):
        for filters in (None, {"owner": "ann"}):
            options = {"filters": filters, "unsettled": laid}
            got = searched.ask(text, at=before, **options)
            assert_same(got, searched.plain(after, text, filters=filters))


def _unsettled(id_: bytes, document: dict[str, Any] | None) -> Unsettled:
    if document is None or not isinstance(document.get("body"), str):
        return Unsettled(id_)
    keys = tuple(encode_key(get_path(document, f)) for f in ("owner", "meta.kind"))
    return Unsettled(id_, document["body"], document["_creationTime"], keys)


# -- at rest ------------------------------------------------------------------------------


def test_it_goes_on_from_its_files(searched: Searched):
    insert(searched, {"body": "one text", "owner": "ann"}, "another text")
    searched.texts.rest()
    searched(lambda tx: tx.insert("t", {"body": "third text", "owner": "ann"}))
    searched.follow()
    assert searched.texts.watermark > 0
    assert len(searched.ask("text", filters={"owner": "ann"})) == 1
    searched.following.advance()
    assert len(searched.ask("text", filters={"owner": "ann"})) == 2
    searched.index.check()


def test_what_tantivy_has_beyond_the_files_is_read_again(searched: Searched, few: None):
    insert(searched, *[f"text {n}" for n in range(6)])
    searched.texts.rest()
    ids = [document["_id"] for document in now(searched).values()]
    searched(lambda tx: tx.delete(ids[0]))
    insert(searched, *[f"text {n}" for n in range(6, 12)])
    assert searched.index.tail.pending == {}  # Tantivy has them
    searched.follow()
    searched.index.check()
    searched.following.advance()
    searched.index.check()
    assert_same(searched.ask("text", 20), searched.plain(now(searched), "text", 20))


@pytest.mark.parametrize("spoil", ["state.json", "*.columns", "*/meta.json"])
@pytest.mark.parametrize("how", ["cut", "remove"])
def test_broken_files_are_made_again(searched: Searched, spoil: str, how: str):
    insert(searched, *[f"text {n}" for n in range(5)])
    searched.texts.close()
    expected = searched.ask("text")
    assert searched.folder is not None
    (path,) = searched.folder.glob(spoil)
    if how == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    searched.follow()
    assert searched.texts.watermark == 0
    searched.following.advance()
    assert searched.ask("text") == expected
    searched.texts.rest()
    assert len(list(searched.folder.iterdir())) == 3


def test_what_is_searched_much_since_it_changed_is_put_to_rest(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "INDEX_SAVE_SHARE", 0)
    monkeypatch.setattr(knobs, "TEXT_REST_SHARE", 2)
    insert(searched, "a", "b", "c")
    searched.texts.checkpoint()
    told: list[int] = []
    searched.texts.done = lambda: told.append(searched.index.asked)
    insert(searched, "a d")
    searched.texts.checkpoint()
    assert not searched.index.rested_ts
    for _ in range(5):
        searched.ask("a")
    assert told == [3]
    searched.texts.checkpoint()
    assert searched.index.rested_ts == searched.texts.watermark


def test_it_is_put_to_rest_while_other_texts_change(
    searched: Searched, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "TEXT_REST_SHARE", 100)
    insert(searched, "a")
    searched.ask("a")
    insert(searched, {"other": 1})
    assert not searched.index.rested_ts
    monkeypatch.setattr(knobs, "FOLLOWER_IDLE_SECONDS", -1.0)
    insert(searched, {"other": 1})
    assert searched.index.rested_ts == searched.now


def test_status_tells_what_there_is(searched: Searched):
    insert(searched, "three words here")
    (told,) = searched.following.status()["indexes"]  # type: ignore[misc]
    assert (told["table"], told["index"], told["texts"]) == ("t", "said", 1)
    assert told["segments"] + told["pending"] == 1


# -- anything that can happen ---------------------------------------------------------------

_texts = st.lists(
    st.sampled_from(["a", "ab", "abc", "b", "bc", "c", "été"]), max_size=6
).map(" ".join)
_documents = st.fixed_dictionaries(
    {"body": st.one_of(_texts, st.none())},
    optional={"owner": st.integers(0, 1), "meta": st.just({"kind": "x"})},
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(_documents, min_size=1, max_size=6)),
        st.tuples(st.just("replace"), st.integers(0, 30), _documents),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.just("advance")),
        st.tuples(st.just("rest")),
        st.tuples(st.just("idle")),
        st.tuples(st.just("die")),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=16)
@given(
    steps=_steps,
    text=_texts,
    limit=st.integers(1, 8),
    filters=st.sampled_from([None, {"owner": 1}, {"owner": 0, "meta.kind": "x"}]),
)
def test_any_history_is_answered_as_plain_bm25_does(
    tmp_path_factory: pytest.TempPathFactory,
    steps: Any,
    text: str,
    limit: int,
    filters: Any,
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knobs, "TEXT_TAIL_ROWS", 3)
        patch.setattr(knobs, "TEXT_PAST_ROWS", 5)
        searched = searched_in(tmp_path_factory.mktemp("any") / "texts")
        searched.following.advance()
        moments: dict[int, dict[bytes, dict[str, Any]]] = {}
        for name, *values in steps:
            _take(searched, name, values)
            moments[searched.now] = now(searched)
        searched.following.advance()
        searched.index.check()
        for at, documents in moments.items():
            if at >= searched.index.exact_from:
                got = searched.ask(text, limit, at=at, filters=filters)
                assert_same(got, searched.plain(documents, text, limit, filters))
        searched.texts.rest()
        for at in (searched.index.changed_ts, searched.now):
            looked_at = searched.look_at(text, limit, at=at, filters=filters)
            assert looked_at == searched.ask(text, limit, at=at, filters=filters)


def _take(searched: Searched, name: str, values: list[Any]) -> None:
    ids = [document["_id"] for document in now(searched).values()]
    match name, values:
        case "insert", [documents]:
            searched(lambda tx: tx.insert_many("t", documents))
        case "replace", [number, document] if ids:
            searched(lambda tx: tx.replace(ids[number % len(ids)], document))
        case "delete", [number] if ids:
            searched(lambda tx: tx.delete(ids[number % len(ids)]))
        case "advance", _:
            searched.following.advance()
        case "rest", _:
            searched.texts.checkpoint()
        case "idle", _:
            searched.texts.idle(lambda: False)
            for index in searched.texts.indexes.values():
                index.gathering.wait()
        case "die", _:
            searched.follow()


# -- asked while it changes -----------------------------------------------------------------


def test_answers_are_whole_while_texts_come_and_go(few: None):
    """Whoever asks as of a moment gets the documents of it, whatever is being committed."""
    searched = searched_in(None)
    insert(searched, *[f"text {n}" for n in range(5)])
    moments: dict[int, set[bytes]] = {}
    latest = [0]
    asked: list[int] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            at = latest[0]
            if at:
                try:
                    answer = searched.ask("te", 1000, at=at)
                except OutOfRetention:  # much has been written since
                    continue
                asked.append(at)
                assert {id_ for id_, _ in answer} == moments[at], at

    def change(chance: random.Random) -> None:
        for n in range(40):
            ids = [document["_id"] for document in now(searched).values()]
            gone, changed = chance.sample(ids, 2)
            searched(lambda tx, n=n: tx.insert_many("t", [{"body": f"text n{n}"}] * 2))
            searched(lambda tx, id_=gone: tx.delete(id_))
            searched(lambda tx, id_=changed, n=n: tx.patch(id_, {"body": f"text m{n}"}))
            searched.following.advance()
            moments[searched.now] = set(now(searched))
            latest[0] = searched.now

    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(ask)
        try:
            change(random.Random(3))
        finally:
            is_over.set()
        asking.result()
    assert asked
    searched.index.check()


# -- while a table is walked ----------------------------------------------------------


def test_what_there_is_stays_current_while_a_new_index_is_filled(
    searched: Searched, few: None, monkeypatch: pytest.MonkeyPatch
):
    """And the new one has what came, changed and went while it was filled."""
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_DOCUMENTS", 2)
    ids = searched(
        lambda tx: tx.insert_many("u", [{"body": f"word {n}"} for n in range(7)])
    )
    insert(searched, {"body": "word"})
    searched.following.advance()
    schema = schema_of()
    push(searched.committer, define_schema({**schema.tables, "u": schema.tables["t"]}))
    u = searched.committer.catalog.tables["u"].number
    of_u = replace(decode_request(searched.request("word", 99)), table=u)
    take, commits = searched.texts.take, [Timestamp(0)]

    def take_while_commits_go_on(table: Any, revisions: Any) -> None:
        assert searched.following.is_at(commits[-1])
        assert not searched.following.has(encode_request(of_u))
        assert len(searched.ask("word", 99)) == len(commits)
        searched.texts.rest()  # it leaves alone what is being filled
        step = len(commits) - 1
        searched(lambda tx: tx.insert_many("t", [{"body": "word"}]))
        if step == 0:  # what is given, and what is yet to be
            for n in (0, 5):
                searched(lambda tx, n=n: tx.patch(ids[n], {"body": f"other {n}"}))
            searched(lambda tx: tx.delete(ids[6]))
        if step == 1:
            searched(lambda tx: tx.delete(ids[1]))
            searched(lambda tx: tx.insert_many("u", [{"body": "new word"}]))
        commits.append(searched.now)
        take(table, revisions)

    monkeypatch.setattr(searched.texts, "take", take_while_commits_go_on)
    searched.following.advance()
    assert len(commits) > 3
    assert searched.following.has(encode_request(of_u))
    for text, there in (("word", 4), ("other", 2), ("0", 1), ("6", 0), ("new", 1)):
        asked = replace(of_u, words=(text,))
        found = searched.texts.answer(encode_request(asked), searched.texts.watermark)
        assert len(decode_answer(found).scores) == there, text
    for index in searched.texts.indexes.values():
        index.settle()
        index.check()
