"""What a vector index should say: every document compared, in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: TID253 - what it is compared with

from convexlab.documents.document import get_path
from convexlab.documents.ordering import encode_key
from convexlab.documents.schema import Schema, define_schema, define_table
from convexlab.documents.v import v
from convexlab.engine.definitions import activate_schema, declare_schema
from convexlab.engine.interval import EVERYTHING
from convexlab.engine.timestamp import Timestamp
from convexlab.followers.following import Following
from convexlab.followers.vector.follower import Vectors, at_once
from convexlab.followers.vector.request import (
    Definition,
    VectorRequest,
    decode_answer,
    definition_of,
    encode_request,
)

if TYPE_CHECKING:
    from pathlib import Path

    from convexlab.engine.committer import Committer
    from convexlab.engine.persistence.contract import Persistence
    from convexlab.engine.transaction import Transaction

FILTERS = ("owner", "meta.kind")


def schema_of(dimensions: int, **options: Any) -> Schema:
    """A table `t` of anything with a vector index `near` over `e`."""
    table = define_table(v.any())
    table.vector_index(
        "near",
        vector_field="e",
        dimensions=dimensions,
        filter_fields=FILTERS,
        **options,
    )
    return define_schema({"t": table}, schema_validation=False)


def push(committer: Committer, schema: Schema) -> None:
    """Make a schema the one that holds."""
    for step in (lambda tx: declare_schema(tx, schema), activate_schema):
        tx = committer.begin(system=True)
        step(tx)
        committer.accept(tx.finish())
        committer.settle_all()


@dataclass
class Searched:
    """A committer and a follower of it, asked in Python's values."""

    committer: Committer
    store: Persistence
    folder: Path | None = None

    def __post_init__(self) -> None:
        self.follow()

    def follow(self) -> None:
        """Open the follower, anew if there is one: what a killed keeper leaves."""
        self.vectors = Vectors(self.folder, start=at_once)
        self.following = Following(self.store, self.vectors)

    def __call__(self, step: Any) -> Any:
        """Commit a transaction."""
        tx = self.committer.begin()
        result = step(tx)
        self.committer.accept(tx.finish())
        self.committer.settle_all()
        return result

    @property
    def now(self) -> Timestamp:
        return Timestamp(self.committer.snapshot().ts)

    def definition(self) -> tuple[int, Definition]:
        catalog = self.committer.catalog
        assert catalog.schema is not None
        (index,) = catalog.schema.tables["t"].vector_indexes
        return catalog.tables["t"].number, definition_of(index)

    def request(
        self, vector: Any, limit: int = 10, filters: dict[str, list[Any]] | None = None
    ) -> bytes:
        number, definition = self.definition()
        wanted = None
        if filters is not None:
            wanted = tuple(
                (FILTERS.index(field), encode_key(value))
                for field, values in filters.items()
                for value in values
            )
        numbers = np.asarray(vector, "<f4").tobytes()
        return encode_request(
            VectorRequest(number, "near", definition, numbers, limit, wanted)
        )

    def ask(
        self, vector: Any, limit: int = 10, *, at: int | None = None, **filters: Any
    ) -> list[tuple[bytes, float]]:
        """(internal id, score), as the follower says."""
        request = self.request(vector, limit, filters.get("filters"))
        answer = decode_answer(
            self.vectors.answer(request, Timestamp(at or self.vectors.watermark))
        )
        scores = np.frombuffer(answer.scores, "<f4").tolist()
        ids = [answer.ids[i : i + 16] for i in range(0, len(answer.ids), 16)]
        return list(zip(ids, scores, strict=True))

    def expect(
        self,
        vector: Any,
        limit: int,
        documents: dict[bytes, dict[str, Any]],
        filters: dict[str, list[Any]] | None = None,
    ) -> list[tuple[bytes, float]]:
        """The same by brute force, over documents as they should be."""
        _, definition = self.definition()
        found = []
        for id_, document in documents.items():
            e = document.get("e")
            if not isinstance(e, list) or len(e) != definition.dimensions:
                continue
            if not all(type(x) in (int, float) and np.isfinite(x) for x in e):
                continue
            if filters is None or _passes(document, filters):
                found.append((id_, _cosine(vector, e)))
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:limit]


def _passes(document: dict[str, Any], filters: dict[str, list[Any]]) -> bool:
    return any(
        encode_key(get_path(document, field)) == encode_key(value)
        for field, values in filters.items()
        for value in values
    )


def _cosine(a: Any, b: Any) -> float:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    norms = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / norms) if norms else 0.0


def documents_of(tx: Transaction) -> dict[bytes, dict[str, Any]]:
    """Every document of `t`, by internal id."""
    table = tx.table("t")
    if table is None:
        return {}
    return {
        revision.id: revision.decode()
        for _, revision in tx.rows(table.by_id.id, EVERYTHING)
    }


def assert_same(
    found: list[tuple[bytes, float]], expected: list[tuple[bytes, float]]
) -> None:
    """Equal scores, place by place, and the documents that have them."""
    assert len(found) == len(expected), (found, expected)
    got, wanted = [s for _, s in found], [s for _, s in expected]
    assert np.allclose(got, wanted, atol=2e-6), (found, expected)
    near = dict(expected)
    worst = wanted[-1] if wanted else 0.0
    for id_, score in found:
        # One that is as near as the last may stand for another.
        assert abs(near.get(id_, worst) - score) < 4e-6, (id_, found, expected)
