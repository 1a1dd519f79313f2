"""A vector index at rest is searched where it is asked for, as the keeper would answer."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what it is compared with
import pytest
from hypothesis import given, settings, strategies as st
from tests.followers.vectors import FILTERS, Searched, push, schema_of

from convexlab import knobs
from convexlab.documents.ordering import encode_key
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.memory import MemoryPersistence
from convexlab.engine.timestamp import Timestamp
from convexlab.errors import ConvexlabError, InvalidArguments, OutOfRetention
from convexlab.followers.vector.request import (
    FOLDER,
    NAME,
    VectorRequest,
    decode_answer,
    encode_request,
)
from convexlab.functions.processes.near_vectors import NearVectors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from convexlab.followers.vector.request import VectorAnswer

OFTEN = 2
NEVER = 1e9
MANY = 30


class Asked:
    """A keeper that counts how often it is asked, and a process that asks it."""

    def __init__(self, folder: Path) -> None:
        store = MemoryPersistence()
        self.committer = Committer(store)
        push(self.committer, schema_of(3))
        self.searched = Searched(self.committer, store, folder / FOLDER)
        self.times = 0
        self.near = NearVectors(self, folder)

    def ask(
        self, name: str, request: bytes, *, at: Timestamp, patience_seconds: float
    ) -> bytes:
        assert (name, patience_seconds) == (NAME, 7.0)
        self.times += 1
        self.searched.following.advance()
        return self.searched.vectors.answer(request, at)

    @property
    def folder(self) -> Path:
        assert self.searched.folder is not None
        return self.searched.folder

    def insert(self, *vectors: Any) -> list[str]:
        documents = [{"e": vector, "owner": n % 2} for n, vector in enumerate(vectors)]
        ids: list[str] = self.searched(lambda tx: tx.insert_many("t", documents))
        return ids

    def delete(self, id_: str) -> None:
        self.searched(lambda tx: tx.delete(id_))

    def commit_elsewhere(self) -> None:
        self.searched(lambda tx: tx.insert("t", {"other": 1}))

    def rest(self) -> None:
        self.searched.following.advance()
        self.searched.vectors.rest()

    def request(
        self, *vectors: Any, limit: int = 10, owner: int | None = None
    ) -> bytes:
        number, definition = self.searched.definition()
        (numbers,) = {len(vector) for vector in vectors}
        packed = b"".join(_packed(vector) for vector in vectors)
        filters = (
            None if owner is None else ((FILTERS.index("owner"), encode_key(owner)),)
        )
        assert numbers, "a vector of nothing"
        return encode_request(
            VectorRequest(
                number, "near", definition, packed, limit, filters, len(vectors)
            )
        )

    def find(
        self, *vectors: Any, at: int | None = None, **how: Any
    ) -> VectorAnswer | type[ConvexlabError]:
        """What is near; the same as the keeper finds, or refuses."""
        request = self.request(*(vectors or ([1, 1, 0],)), **how)
        moment = Timestamp(at or self.searched.now)
        found = _outcome(
            lambda: self.near.ask(NAME, request, at=moment, patience_seconds=7.0)
        )
        self.searched.following.advance()
        wanted = _outcome(lambda: self.searched.vectors.answer(request, moment))
        if isinstance(found, type) or isinstance(wanted, type):
            assert found is wanted
            return found
        assert (found.ids, found.scores) == (wanted.ids, wanted.scores)
        return found

    def count(self, *vectors: Any, **how: Any) -> int:
        found = self.find(*vectors, **how)
        assert not isinstance(found, type), found
        return len(found.ids) // 16

    def find_often(self) -> None:
        """Until the index is opened here."""
        for _ in range(OFTEN):
            self.find()
        self.wait()

    def wait(self) -> None:
        opening = self.near._opening
        assert opening is not None, "nothing is being opened"
        opening.join()

    def asks(self, *vectors: Any, **how: Any) -> int:
        """How often the keeper is asked for it."""
        before = self.times
        self.find(*vectors, **how)
        return self.times - before


def _packed(vector: Any) -> bytes:
    return np.asarray(vector, "<f4").tobytes()


def _outcome(ask: Callable[[], bytes]) -> VectorAnswer | type[ConvexlabError]:
    try:
        return decode_answer(ask())
    except ConvexlabError as error:
        return type(error)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knobs, "NEAR_SEARCHES", OFTEN)
    monkeypatch.setattr(knobs, "NEAR_SECONDS", NEVER)
    monkeypatch.setattr(knobs, "NEAR_CHECK_SECONDS", 0.0)
    monkeypatch.setattr(knobs, "VECTOR_REST_SHARE", NEVER)
    monkeypatch.setattr(knobs, "VECTOR_EXACT_ROWS", MANY)


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """Three vectors at rest."""
    asked = Asked(tmp_path)
    asked.insert([1, 0, 0], [0, 1, 0], [1, 1, 0])
    asked.rest()
    return asked


def test_what_is_asked_for_often_is_searched_here(asked: Asked):
    asked.find_often()
    assert asked.asks() == asked.asks([0, 0, 1], limit=2) == 0
    assert asked.count() == 3


def test_equally_near_ones_and_more_than_there_are_come_as_the_keeper_has_them(
    asked: Asked,
):
    asked.insert(*[[0, 2, 0]] * 4, [0, 0, 0])
    asked.rest()
    asked.find_often()
    for vector in ([0, 1, 0], [0, 0, 0], [3e-30, 1e-30, 0], [1e30, -1e30, 3]):
        for limit in (1, 3, 8, 256):
            assert asked.asks(vector, limit=limit) == 0
            assert asked.count(vector, limit=limit) == min(limit, 8)


def test_several_are_searched_here_as_each_alone(asked: Asked):
    asked.find_often()
    assert asked.asks([1, 0, 0], [0, 0, 1], [0, 1, 1]) == 0
    assert asked.count([1, 0, 0], [0, 0, 1]) == 6


def test_what_is_refused_is_refused_here_too(asked: Asked):
    asked.find_often()
    for wrong in ([1, 0], [1, 0, 0, 0], [1, float("nan"), 0], [1, float("inf"), 0]):
        assert asked.asks(wrong) == 0
        assert asked.find(wrong) is InvalidArguments


def test_after_a_commit_the_keeper_is_asked_once(asked: Asked):
    asked.find_often()
    asked.commit_elsewhere()
    assert [asked.asks() for _ in range(3)] == [1, 0, 0]


def test_what_has_changed_is_the_keepers_until_it_rests(asked: Asked):
    asked.find_often()
    asked.insert([1, 1, 1])
    assert asked.count() == 4
    assert asked.asks() == 1
    asked.rest()
    asked.find_often()
    assert asked.asks() == 0


def test_a_moment_before_the_last_change_is_the_keepers(asked: Asked):
    (id_,) = asked.insert([1, 1, 1])
    before = asked.searched.now
    asked.delete(id_)
    asked.rest()
    asked.find_often()
    assert asked.asks() == 0
    assert asked.count() == 3
    assert asked.asks(at=before) == 1
    assert asked.count(at=before) == 4


def test_superseded_vectors_are_not_found_here(asked: Asked):
    ids = asked.insert(*[[1, n, n] for n in range(5)])
    asked.searched.following.advance()
    asked.delete(ids[0])
    asked.searched(lambda tx: tx.patch(ids[1], {"e": [0, 0, 5]}))
    asked.rest()
    (index,) = asked.searched.vectors.indexes.values()
    assert index.versions.dead == 2
    asked.find_often()
    assert asked.asks() == asked.asks(limit=3) == 0
    assert asked.count() == 7


def test_what_goes_through_a_filter_is_the_keepers(asked: Asked):
    asked.find_often()
    assert asked.asks(owner=1) == 1
    assert asked.count(owner=1) == 1
    assert asked.asks() == 0


def test_an_index_that_was_pushed_anew_is_not_taken_for_it(asked: Asked):
    asked.find_often()
    push(asked.committer, schema_of(2))
    assert asked.find([1, 0]) is not None
    asked.searched(lambda tx: tx.insert("t", {"e": [1, 0]}))
    assert asked.count([1, 0]) == 1


def test_lists_that_were_cut_since_are_the_keepers_until_they_rest(asked: Asked):
    asked.insert(*[[1, n, -n] for n in range(MANY)])
    asked.rest()
    asked.find_often()
    assert asked.asks() == 0
    (index,) = asked.searched.vectors.indexes.values()
    assert index.lists.count > 1
    index.build(*index.begin_building())
    assert asked.asks() == 0  # said before: the documents are the same
    asked.commit_elsewhere()
    assert [asked.asks() for _ in range(3)] == [1, 1, 1]
    asked.rest()
    asked.find_often()
    assert asked.asks() == 0


def test_it_is_asked_now_and_then_whether_there_are_other_files(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(knobs, "NEAR_SECONDS", 0.0)
    asked.find_often()
    assert asked.asks() == 1
    monkeypatch.setattr(knobs, "NEAR_SECONDS", NEVER)
    assert [asked.asks() for _ in range(2)] == [1, 0]


def test_r1_what_has_no_room_is_the_keepers(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
):
    asked.find_often()
    (near,) = asked.near._near.values()
    monkeypatch.setattr(knobs, "NEAR_BYTES", near.bytes)
    number, _ = asked.searched.definition()
    other = (number, "other")
    asked.near._open(other, near.rested)
    asked.wait()
    assert [*asked.near._near] == [(number, "near")]
    assert asked.asks() == 0
    monkeypatch.setattr(knobs, "NEAR_BYTES", near.bytes - 1)
    asked.commit_elsewhere()
    assert [asked.asks() for _ in range(2 * OFTEN)] == [1] * 2 * OFTEN
    assert not asked.near._near


def test_what_nobody_asks_for_is_let_go(asked: Asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(knobs, "NEAR_SECONDS", 0.0)
    asked.find_often()
    asked.find()
    assert len(asked.near._near) == 1
    monkeypatch.setattr(knobs, "NEAR_IDLE_SECONDS", -NEVER)
    asked.find()
    assert not asked.near._near


# -- files that go, or are spoilt ---------------------------------------------------


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    os.utime(path, ns=(1, 1))  # N.B. the clock of files is a coarse one


def cut(path: Path) -> None:
    path.write_bytes(b"")


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("pattern", ["*.faiss", "*.columns", "state.json"])
@pytest.mark.parametrize("how", [spoil, cut, remove])
def test_files_that_cannot_be_read_leave_it_to_the_keeper(
    asked: Asked,
    pattern: str,
    how: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
):
    (path,) = asked.folder.glob(pattern)
    how(path)
    asked.find_often()
    assert [asked.asks() for _ in range(2 * OFTEN)] == [1] * 2 * OFTEN
    asked.wait()
    said = capsys.readouterr().err
    assert ("Error" in said) == (how is not remove)
    assert said.count("Traceback") <= 1, "it is not tried again and again"
    asked.insert([1, 1, 1])
    asked.rest()
    asked.find_often()
    assert asked.asks() == 0


@pytest.mark.parametrize("pattern", ["*.faiss", "*.columns"])
@pytest.mark.parametrize("how", [spoil, cut])
def test_r2_files_that_are_spoilt_while_they_are_open_are_not_searched(
    asked: Asked, pattern: str, how: Callable[[Path], None]
):
    asked.find_often()
    (path,) = asked.folder.glob(pattern)
    how(path)
    assert [asked.asks() for _ in range(2 * OFTEN)] == [1] * 2 * OFTEN
    assert asked.count() == 3


def test_files_that_are_gone_are_searched_while_they_hold(asked: Asked):
    asked.find_often()
    at = asked.searched.now
    for path in asked.folder.iterdir():
        path.unlink()
    assert asked.asks(at=at) == 0
    asked.insert([1, 1, 1])
    asked.rest()  # others in their place
    assert asked.count() == 4
    assert asked.asks() == 1


# -- anything that can happen -------------------------------------------------------

_vectors = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.lists(_vectors, min_size=1, max_size=30)),
        st.tuples(st.just("delete"), st.integers(0, 50)),
        st.tuples(st.just("elsewhere")),
        st.tuples(st.just("rest")),
        st.tuples(st.just("build")),
        st.tuples(st.just("die")),
        st.tuples(st.just("find"), _vectors, st.integers(1, 12), st.integers(0, 5)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=60)
@given(steps=_steps)
def test_any_history_is_answered_as_the_keeper_does(
    tmp_path_factory: pytest.TempPathFactory, steps: Any
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knobs, "VECTOR_EXACT_ROWS", 10_000)  # else it is not exact
        asked = Asked(tmp_path_factory.mktemp("any"))
        ids = asked.insert([1, 0, 0])
        moments = [asked.searched.now]
        for name, *values in steps:
            _take(asked, name, values, ids, moments)
            moments.append(asked.searched.now)


def _take(
    asked: Asked, name: str, values: list[Any], ids: list[str], moments: list[int]
) -> None:
    match name, values:
        case "insert", [vectors]:
            ids += asked.insert(*vectors)
        case "delete", [number] if ids:
            asked.delete(ids.pop(number % len(ids)))
        case "elsewhere", _:
            asked.commit_elsewhere()
        case "rest", _:
            asked.rest()
        case "build", _:
            for index in asked.searched.vectors.indexes.values():
                index.build(*index.begin_building())
        case "die", _:
            asked.searched.follow()
        case "find", [vector, limit, ago]:
            for _ in range(OFTEN + 1):
                _find(asked, vector, limit, moments[-1 - min(ago, len(moments) - 1)])
                if asked.near._opening is not None:
                    asked.wait()


def _find(asked: Asked, vector: Any, limit: int, at: int) -> None:
    """N.B. which of equally near ones are the last is chance where lists differ."""
    request, moment = asked.request(vector, limit=limit), Timestamp(at)
    found = _outcome(
        lambda: asked.near.ask(NAME, request, at=moment, patience_seconds=7.0)
    )
    asked.searched.following.advance()
    wanted = _outcome(lambda: asked.searched.vectors.answer(request, moment))
    if isinstance(found, type) or isinstance(wanted, type):
        assert found is wanted is OutOfRetention
    else:
        assert found.scores == wanted.scores


# -- the process --------------------------------------------------------------------


def test_nothing_is_loaded_for_who_searches_seldom():
    """In a process of its own: here they are loaded."""
    code = (
        "import sys, convexlab.functions.processes.near_vectors;"
        "print({'numpy', 'faiss'} & sys.modules.keys())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "set()"
