"""A follower has every commit, in order, whatever it missed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies as st
from tests.followers.mirrors import Mirror

from convexlab import knobs
from convexlab.engine.committer import Committer
from convexlab.engine.definitions import set_table_state
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.retention import Retention, trim_slice
from convexlab.errors import Closing, FollowerBehind
from convexlab.followers.following import Following

if TYPE_CHECKING:
    from convexlab.engine.persistence.contract import Persistence


@pytest.fixture
def mirror() -> Mirror:
    return Mirror()


@pytest.fixture
def following(persistence: Persistence, mirror: Mirror) -> Following:
    return Following(persistence, mirror)


def insert(*texts: str, table: str = "t") -> Any:
    return lambda tx: tx.insert_many(table, [{"text": text} for text in texts])


def texts(following: Following, table: str = "t", at: Any = None) -> list[str]:
    mirror: Any = following.follower
    return mirror.texts(mirror.tables[table], at or mirror.watermark)


def test_it_begins_with_the_documents_that_are_there(
    steps: Any, committer: Committer, following: Following, mirror: Mirror
):
    ids = steps(insert("a", "b"))
    steps(lambda tx: tx.delete(ids[0]))
    assert following.advance() == committer.ts
    assert (texts(following), mirror.builds) == (["b"], ["t"])


def test_g1_then_it_takes_in_every_commit_with_what_it_wrote(
    steps: Any, committer: Committer, following: Following
):
    ids = steps(insert("a", "b"))
    following.advance()
    seen = {}
    for text in "cde":
        steps(lambda tx, text=text: tx.patch(ids[0], {"text": text}))
        seen[committer.ts] = text
    following.advance()
    for ts, text in seen.items():
        assert texts(following, at=ts) == sorted(["b", text])


def test_one_that_came_back_is_asked_once_it_knows_its_tables(
    steps: Any,
    committer: Committer,
    persistence: Persistence,
    following: Following,
    mirror: Mirror,
):
    """Its files say how far it is, and not what the tables are called."""
    steps(insert("a"))
    following.advance()
    back = Following(persistence, mirror)
    assert mirror.watermark == committer.ts
    with pytest.raises(FollowerBehind):
        back.wait_for(committer.ts, patience_seconds=0)
    back.advance()
    back.wait_for(committer.ts, patience_seconds=0)


def test_a_table_made_later_is_built_as_of_where_the_follower_stands(
    steps: Any, following: Following, mirror: Mirror
):
    steps(insert("a"))
    following.advance()
    steps(insert("b", table="u"))
    steps(insert("c", table="u"))
    following.advance()
    assert texts(following, "u") == ["b", "c"]
    assert mirror.builds == ["t", "u"]


def test_commits_of_a_deleted_table_are_passed_over(
    steps: Any, committer: Committer, following: Following
):
    steps(insert("a"))
    following.advance()
    steps(insert("b", table="u"))
    table = committer.catalog.tables["u"]
    steps(lambda tx: set_table_state(tx, table, "deleting"), system=True)
    steps(insert("c"))
    assert following.advance() == committer.ts
    assert texts(following) == ["a", "c"]


def test_it_is_built_in_slices_while_commits_go_on(
    steps: Any, following: Following, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_DOCUMENTS", 2)
    ids = steps(insert(*"abcde"))
    take = mirror.take

    def take_while_commits_go_on(table: Any, revisions: Any) -> None:
        steps(
            lambda tx: tx.patch(ids[4], {"text": f"e{len(mirror.kept[table.number])}"})
        )
        steps(insert(f"new{len(mirror.kept[table.number])}"))
        take(table, revisions)

    monkeypatch.setattr(mirror, "take", take_while_commits_go_on)
    following.advance()
    assert texts(following) == ["a", "b", "c", "d", "e4", "new0", "new2", "new4"]


def test_who_waits_for_a_table_is_told_how_much_of_it_is_in(
    steps: Any, following: Following, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_DOCUMENTS", 2)
    steps(insert(*"abcde"))
    take, told = mirror.take, []

    def take_and_look(*taken: Any) -> None:
        with pytest.raises(FollowerBehind) as refused:
            following.wait_for(mirror.watermark + 1, patience_seconds=0)
        status = following.status()
        told.append((status["building"], status["buildingPercent"], str(refused.value)))
        take(*taken)

    monkeypatch.setattr(mirror, "take", take_and_look)
    following.advance()
    said = "The mirror index is being built (now: table `t`, {} %). Try again."
    assert told == [("t", much, said.format(much)) for much in (0, 40, 80)]
    assert following.status()["buildingPercent"] is None


def test_g3_one_that_is_behind_the_log_begins_again(
    steps: Any, committer: Committer, following: Following, mirror: Mirror
):
    ids = steps(insert("a", "b"))
    following.advance()
    for text in "cd":
        steps(lambda tx, text=text: tx.patch(ids[0], {"text": text}))
    nothing = Retention(log_seconds=0, history_seconds=0)
    while trim_slice(committer, nothing):
        pass
    following.advance()
    assert (texts(following), mirror.builds) == (["b", "d"], ["t", "t"])


# -- who waits --------------------------------------------------------------------


def test_g2_who_waits_is_let_go_when_it_is_reached(
    steps: Any, committer: Committer, following: Following
):
    steps(insert("a"))
    waiting = threading.Thread(
        target=following.wait_for, args=(committer.ts,), kwargs={"patience_seconds": 60}
    )
    waiting.start()
    following.advance()
    waiting.join(60)
    assert not waiting.is_alive()


def test_g2_or_when_patience_ends(
    steps: Any, committer: Committer, following: Following
):
    steps(insert("a"))
    following.advance()
    steps(insert("b"))
    with pytest.raises(FollowerBehind, match=r"mirror index is .* behind"):
        following.wait_for(committer.ts, patience_seconds=0)


def test_g2_or_when_the_follower_fails(
    steps: Any,
    committer: Committer,
    following: Following,
    mirror: Mirror,
    monkeypatch: pytest.MonkeyPatch,
):
    steps(insert("a"))

    def fail(*_: object) -> None:
        raise ValueError("no room")

    with monkeypatch.context() as broken:
        broken.setattr(mirror, "apply", fail)
        with pytest.raises(ValueError, match="no room"):
            following.advance()
    with pytest.raises(FollowerBehind, match="no room"):
        following.wait_for(committer.ts, patience_seconds=60)
    assert "no room" in str(following.status()["failure"])
    following.start_again()
    following.advance()
    following.wait_for(committer.ts, patience_seconds=0)


def test_g5_one_that_is_to_end_takes_one_more_run(
    steps: Any, following: Following, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_DOCUMENTS", 1)
    monkeypatch.setattr(knobs, "FOLLOWER_READ_COMMITS", 1)
    steps(insert("a"))
    following.advance()
    steps(insert("b"))
    steps(insert("c"))
    following.end()
    following.advance()
    assert texts(following) == ["a", "b"]


def test_g5_and_no_more_of_a_table_that_is_walked(
    steps: Any, following: Following, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "FOLLOWER_RUN_DOCUMENTS", 2)
    steps(insert(*"abcde"))
    take = mirror.take

    def take_the_last(*taken: Any) -> None:
        take(*taken)
        following.end()

    monkeypatch.setattr(mirror, "take", take_the_last)
    with pytest.raises(Closing):
        following.advance()
    (taken,) = mirror.kept.values()
    assert (len(taken), mirror.builds) == (2, [])


# -- whatever is committed ------------------------------------------------------------

operations = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.sampled_from("tu")),
        st.tuples(st.just("patch"), st.integers(0, 9)),
        st.tuples(st.just("delete"), st.integers(0, 9)),
        st.tuples(st.just("advance"), st.none()),
        st.tuples(st.just("trim"), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=100, deadline=None)
@given(operations)
def test_as_of_any_moment_since_it_began_it_says_what_was_stored(todo: Any):
    store = MemoryPersistence()
    committer = Committer(store)
    mirror = Mirror()
    following = Following(store, mirror)
    documents: dict[str, tuple[str, str]] = {}  # id → table, text
    expected: dict[int, list[str]] = {}
    for number, (what, which) in enumerate(todo):
        if what == "advance":
            following.advance()
        elif what == "trim":
            trim_slice(committer, Retention(log_seconds=0, history_seconds=10**6))
        else:
            do(committer, documents, what, which, str(number))
            texts = sorted(text for table, text in documents.values() if table == "t")
            expected[committer.ts] = texts
    following.advance()
    for ts, texts in expected.items():
        if "t" in mirror.tables and ts >= mirror.exact_from:
            assert mirror.texts(mirror.tables["t"], ts) == texts


def do(
    committer: Committer,
    documents: dict[str, tuple[str, str]],
    what: str,
    which: Any,
    text: str,
) -> None:
    """One committed operation, on the store and on what it should hold."""
    tx = committer.begin()
    ids = list(documents)
    if what == "insert":
        documents[tx.insert(which, {"text": text})] = (which, text)
    elif ids:
        chosen = ids[which % len(ids)]
        if what == "patch":
            tx.patch(chosen, {"text": text})
            documents[chosen] = (documents[chosen][0], text)
        else:
            tx.delete(chosen)
            del documents[chosen]
    committer.accept(tx.finish(), call_id=None, outcome=b"")
    committer.settle_all()
