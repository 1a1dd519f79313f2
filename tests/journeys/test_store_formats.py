"""A deployment that older programs wrote is opened, searched, mirrored and gone on with."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from tests.deployments import deployment

from convexlab.documents.bodies import plain_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.deployments import Deployment

MODULES = {
    "schema": """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "docs": define_table({"n": v.number(), "e": v.array(v.float64()), "deep": v.any()})
    .vector_index("near", vector_field="e", dimensions=64),
})
""",
    "m": """
from convexlab import mutation, query

@mutation
def add(ctx, documents: list[dict]):
    return [ctx.db.insert("docs", document) for document in documents]

@mutation
def change(ctx, id, n: float):
    ctx.db.patch(id, {"n": n})

@query
def all_(ctx): return [[d["n"], d["e"], d["deep"]] for d in ctx.db.query("docs")]

@query
def near(ctx, e: list[float]):
    return [d["n"] for d in ctx.db.query("docs").with_vector_index("near", e, limit=1)]
""",
}
# What stores of these formats had of a document that has a body now.
TEXTS: dict[int, Callable[[bytes], bytes]] = {2: plain_text, 3: to_text}


def vector(n: int) -> list[float]:
    """Every other one is numbers of 32 bits."""
    made = [((7 * n + i) % 13 - 6.3) / 7 for i in range(64)]
    return list(struct.unpack("<64f", struct.pack("<64f", *made))) if n % 2 else made


def document(n: int) -> dict[str, Any]:
    return {"n": float(n), "e": vector(n), "deep": {"es": [vector(n + 1)], "s": "$"}}


def expect(running: Deployment, numbers: list[float]) -> None:
    """What it says of these documents by queries, by the index and by the mirror."""
    documents = [document(int(n)) for n in numbers]
    assert running.query("m:all") == [[d["n"], d["e"], d["deep"]] for d in documents]
    for one in documents:
        assert running.query("m:near", e=one["e"]) == [one["n"]]
    asked = {
        "sql": "SELECT n, e, deep, _doc FROM docs ORDER BY n",
        "format": "json",
        "documents": True,
    }
    rows = running.ask("POST", "/api/convexlab/sql", asked).json()
    assert [row["n"] for row in rows] == sorted(numbers)
    for row in rows:
        one = document(int(row["n"]))
        assert row["e"] == row["_doc"]["e"] == one["e"]
        assert row["deep"]["es"] == row["_doc"]["deep"]["es"] == one["deep"]["es"]


def as_of(folder: Path, form: int) -> None:
    """Let a deployment at rest be as a program of an older format left it."""
    store = apsw.Connection(str(folder / "store.sqlite3"))
    changed = 0
    for table in ("documents", "history"):
        rows = f"SELECT row, body FROM {table} WHERE typeof(body) = 'blob'"
        for row, body in store.execute(rows).fetchall():
            text = TEXTS[form](body).decode()
            store.execute(f"UPDATE {table} SET body = ? WHERE row = ?", (text, row))
            changed += 1
    store.execute("UPDATE meta SET format = ?", (form,))
    store.close()
    assert changed


@pytest.mark.parametrize(("form", "mirror_is_there"), [(2, False), (3, True)])
def test_a_deployment_of_a_format_before(
    tmp_path: Path, form: int, *, mirror_is_there: bool
):
    folder = tmp_path / "deployment"
    with deployment(folder, MODULES) as running:
        ids = running.mutation("m:add", documents=[document(n) for n in range(4)])
        if mirror_is_there:
            expect(running, [0.0, 1.0, 2.0, 3.0])
        running.stop()
        as_of(folder, form)
        running.start()
        expect(running, [0.0, 1.0, 2.0, 3.0])
        running.mutation("m:change", id=ids[0], n=100.0 * 13)  # the same vectors
        running.mutation("m:add", documents=[document(5)])
        running.stop()
        running.start()
        found = running.query("m:all")
        assert [n for n, _, _ in found] == [1300.0, 1.0, 2.0, 3.0, 5.0]
        assert [e for _, e, _ in found] == [vector(n) for n in (0, 1, 2, 3, 5)]
        expect(running, [1300.0, 1.0, 2.0, 3.0, 5.0])
