"""Followers whose files are damaged: they are made anew, and no answer is another."""

from __future__ import annotations

import random
import shutil
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.followers.vectors import push

from convexlab import knobs
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine.committer import Committer
from convexlab.engine.persistence.sqlite import SqlitePersistence, open_reader
from convexlab.errors import FollowerBehind
from convexlab.followers.columnar.file import FILE
from convexlab.followers.columnar.sql import SqlRequest
from convexlab.followers.keeper import IndexKeeper
from convexlab.followers.text import request as text_request
from convexlab.followers.vector import request as vector_request
from convexlab.functions.processes.index_keeper import followers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DOCUMENTS = 4000
FILES = {
    "columnar": (FILE,),
    "vector": ("vectors/state.json", "vectors/*.faiss", "vectors/*.columns"),
    "text": (
        *("texts/state.json", "texts/*.columns", "texts/1/meta.json"),
        *(f"texts/1/*.{kind}" for kind in ("term", "idx", "pos", "store", "fast")),
        "texts/1/*.fieldnorm",
    ),
}
PLACES = [(name, file) for name, files in FILES.items() for file in files]


class Kept:
    """A store, a keeper of it, and what each of its followers is asked.

    Args:
        store: the folder of the documents.
    """

    def __init__(self, store: Path) -> None:
        self.store = store
        self.persistence = SqlitePersistence(store)
        self.committer = Committer(self.persistence)
        push(
            self.committer,
            define_schema(
                {
                    "t": define_table(
                        {"n": v.number(), "body": v.string(), "e": v.array(v.number())}
                    )
                    .search_index("said", search_field="body")
                    .vector_index("near", vector_field="e", dimensions=4)
                }
            ),
        )

    def commit(self, change: Callable[[Any], Any]) -> Any:
        tx = self.committer.begin()
        made = change(tx)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        return made

    def keeper(self, files: Path) -> IndexKeeper:
        return IndexKeeper(lambda: open_reader(self.store), followers_of(files))

    def question(self, name: str) -> bytes:
        catalog = self.committer.catalog
        assert catalog.schema is not None
        table = catalog.schema.tables["t"]
        number = catalog.tables["t"].number
        if name == "columnar":
            sql = "select count(*), sum(n), sum(length(body)), max(body), sum(e[1]) from t"
            return b"sql\n" + msgspec.msgpack.encode(SqlRequest(sql))
        if name == "vector":
            near = vector_request.definition_of(table.vector_indexes[0])
            e = b"\0\0\x80\x3f" * 4
            return vector_request.encode_request(
                vector_request.VectorRequest(number, "near", near, e, 40, None)
            )
        said = text_request.definition_of(table.search_indexes[0])
        return text_request.encode_request(
            text_request.TextRequest(number, "said", said, ("w7", "w1"), 40, (), ())
        )

    def ask(self, keeper: IndexKeeper, name: str) -> bytes:
        """What a follower says once it is there."""
        deadline = time.monotonic() + 60
        while True:
            try:
                said = keeper.ask(
                    name,
                    self.question(name),
                    at=self.committer.ts,
                    patience_seconds=60,
                )
            except FollowerBehind:
                assert time.monotonic() < deadline, keeper.status()
            else:
                return found_in(name, said)


def found_in(name: str, said: bytes) -> bytes:
    """An answer without what tells where it is from."""
    if name == "text":
        answer = text_request.decode_answer(said)
        return bytes(answer.ids)
    return said


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder: Path = tmp_path_factory.mktemp("kept")
    kept = Kept(folder / "store")
    chance = random.Random(3)

    def document(n: int) -> dict[str, Any]:
        words = " ".join(f"w{chance.randrange(60)}" for _ in range(20))
        return {"n": n, "body": words, "e": [chance.gauss(0, 1) for _ in range(4)]}

    def add(tx: Any) -> Any:
        return tx.insert_many("t", [document(n) for n in range(DOCUMENTS)])

    ids = kept.commit(add)
    for change in (lambda _: None, lambda tx: [tx.delete(each) for each in ids[:300]]):
        kept.commit(change)
        keeper = kept.keeper(folder / "files")
        (folder / "files").mkdir(exist_ok=True)
        for name in FILES:
            kept.ask(keeper, name)
            follower: Any = keeper._kept[name].following.follower
            follower.checkpoint()
        if name != "columnar":
            follower.rest()
        keeper.close()
    yield kept
    kept.persistence.close()


@pytest.fixture(scope="module")
def said(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """By followers that have just been built."""
    keeper = kept.keeper(tmp_path_factory.mktemp("new"))
    said = {name: kept.ask(keeper, name) for name in FILES}
    keeper.close()
    return said


def damage(path: Path, how: str, chance: random.Random) -> None:
    body = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "half":
        path.write_bytes(body[: len(body) // 2])
    elif how.endswith("byte"):
        one = [chance.randrange(len(body))]
        spoilt = bytearray(body)
        for at in one if how == "one byte" else range(0, len(body), 4096):
            spoilt[at] ^= 1 << chance.randrange(8)
        path.write_bytes(spoilt)
    elif how == "gone":
        path.unlink()
    else:
        path.write_bytes(chance.randbytes(len(body)))


@pytest.mark.parametrize(
    "how", ["one byte", "every 4096th byte", "half", "empty", "other bytes", "gone"]
)
@pytest.mark.parametrize(("name", "file"), PLACES)
def test_damaged_files_are_made_anew_and_not_served(  # noqa: PLR0917
    kept: Kept,
    said: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    file: str,
    how: str,
):
    """What is gone may never have been there, and one byte may be of what nobody reads."""
    monkeypatch.setattr(knobs, "FOLLOWER_REST_SECONDS", 0.01)
    files = tmp_path / "files"
    shutil.copytree(kept.store.with_name("files"), files)
    found = sorted(files.glob(file))
    assert found, sorted(str(path.relative_to(files)) for path in files.rglob("*"))
    chance = random.Random(f"{file} {how}")
    damage(chance.choice(found), how, chance)
    keeper = kept.keeper(files)
    try:
        assert kept.ask(keeper, name) == said[name]
        (status,) = keeper.status()
        if how not in ("gone", "one byte"):
            assert status["rebuilt"]
        assert status["failure"] is None
    finally:
        keeper.close()
