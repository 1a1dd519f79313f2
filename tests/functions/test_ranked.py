"""Ranked documents: those that a search found, in its order, by one way or the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from tests.functions.lab import lab_of

from convexlab.documents.ids import decode_id
from convexlab.documents.ordering import encode_key
from convexlab.functions.ranked import Ranked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convexlab.engine.table import TableInfo
    from convexlab.engine.transaction import Transaction
    from convexlab.functions.ranked import Hit


@dataclass
class Found(Ranked):
    """Two batches of hits."""

    table: TableInfo
    hits: list[Hit]

    def batches(self, tx: Transaction, expect: int | None) -> Iterator[list[Hit]]:
        del tx, expect
        yield self.hits[:3]
        yield self.hits[3:]

    def place(self, score: float, document: dict[str, Any]) -> bytes:
        del document
        return encode_key(-score)

    def fingerprint(self) -> bytes:
        return b""


@dataclass
class Unscored(Found):
    shows_scores: ClassVar[bool] = False


@pytest.mark.parametrize("kind", [Found, Unscored])
def test_k1_documents_are_those_of_the_rows_and_are_not_recorded(kind: type[Found]):
    lab = lab_of()
    lab.table("t")
    ids = lab.insert("t", *({"n": n} for n in range(6)))
    tx = lab.committer.begin()
    tx.delete(ids[1])
    table = tx.table("t")
    assert table is not None
    hits = [(decode_id(id_)[1], 1 / (n + 1)) for n, id_ in enumerate(ids)]
    search = kind(table, hits)
    recorded = tx.read_set.count
    for most in (None, 0, 1, 2, 3, 6):
        rows = list(islice(search.rows(tx, most), most))
        documents = search.documents(tx, most)
        assert documents == [document for _, document in rows]
        assert [each["n"] for each in documents] == [0, 2, 3, 4, 5][:most]
        scored = [each.get("_score") for each in documents]
        assert scored == [
            1 / (each["n"] + 1) if kind.shows_scores else None for each in documents
        ]
        assert [key for key, _ in rows] == sorted(key for key, _ in rows)
    assert tx.read_set.count == recorded
