from __future__ import annotations

import pytest
from tests.functions.lab import lab_of

SOURCE = """
@query
def get(ctx, args: list): return ctx.db.get(*args)
@query
def system_get(ctx, id: str): return ctx.db.system.get(id)
@query
def normalize(ctx, table: str, id: str): return ctx.db.normalize_id(table, id)
@mutation
def write(ctx, op: str, args: list): return getattr(ctx.db, op)(*args)
@mutation
def remove_field(ctx, id: str): ctx.db.patch(id, {"a": UNDEFINED, "b": 2})
@mutation
def own(ctx):
    id = ctx.db.insert("t", {"a": 1})
    one = ctx.db.get(id)
    one["a"] = 5
    ctx.db.patch(id, {"b": 2})
    return [ctx.db.get(id)["a"], ctx.db.get(id)["b"], len(ctx.db.query("t").collect())]
@mutation
def creation_times(ctx):
    ids = [ctx.db.insert("t", {}) for _ in range(2)]
    return [ctx.db.get(id)["_creationTime"] for id in ids]
@query
def write_in_query(ctx, op: str): getattr(ctx.db, op)("t", {})
@query
def no_such(ctx): ctx.db.nope
@query
def system_query(ctx, table: str): return ctx.db.system.query(table).collect()
@query
def system_by(ctx, table: str, index: str):
    return ctx.db.system.query(table).with_index(index).collect()
@query
def system_order(ctx, field: str, order: str):
    return ctx.db.system.query("_scheduled_functions").order_by(field, order).collect()
@query
def user_query(ctx, table: str): return ctx.db.query(table).collect()
"""


def test_a_document_is_found_by_id() -> None:
    lab = lab_of(SOURCE)
    (one,) = lab.insert("t", {"a": 1})
    (other,) = lab.insert("u", {})
    assert lab.query("m:get", args=[one])["a"] == 1
    assert lab.query("m:get", args=["t", one])["a"] == 1
    lab.mutation("m:write", op="delete", args=[one])
    assert lab.query("m:get", args=[one]) is None
    message = lab.query_error("m:get", args=["t", other]).message
    assert (
        'Invalid argument `id` for `ctx.db.get`: expected to be an Id<"t">, got Id<"u"> instead.'
        in message
    )
    assert 'Id<"nowhere">' in lab.query_error("m:get", args=["nowhere", other]).message


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nonsense"], "Unable to decode ID"),
        ([5], "an id is a string"),
        ([None], "an id is a string"),
        ([], "takes an id, or a table and an id"),
        (["a", "b", "c"], "takes an id, or a table and an id"),
    ],
)
def test_what_is_no_id_is_refused(args, said) -> None:
    message = lab_of(SOURCE).query_error("m:get", args=args).message
    assert said in message


def test_text_becomes_an_id_only_of_its_table() -> None:
    lab = lab_of(SOURCE)
    (one,) = lab.insert("t", {})
    assert lab.query("m:normalize", table="t", id=one) == one
    assert lab.query("m:normalize", table="u", id=one) is None
    assert lab.query("m:normalize", table="t", id=one.upper()) is None
    assert lab.query("m:normalize", table="t", id="x") is None


def test_writes_do_what_they_say() -> None:
    lab = lab_of(SOURCE)
    one = lab.mutation("m:write", op="insert", args=["t", {"a": 1}])
    lab.mutation("m:write", op="patch", args=["t", one, {"b": 1}])
    assert {k: v for k, v in lab.query("m:get", args=[one]).items() if k[0] != "_"} == {
        "a": 1,
        "b": 1,
    }
    lab.mutation("m:remove_field", id=one)
    assert {k: v for k, v in lab.query("m:get", args=[one]).items() if k[0] != "_"} == {
        "b": 2
    }
    lab.mutation("m:write", op="replace", args=[one, {"c": 3}])
    assert {k: v for k, v in lab.query("m:get", args=[one]).items() if k[0] != "_"} == {
        "c": 3
    }
    lab.mutation("m:write", op="delete", args=["t", one])
    for op, args in (("patch", [one, {}]), ("replace", [one, {}]), ("delete", [one])):
        assert (
            f"on nonexistent document ID {one}"
            in lab.mutation_error("m:write", op=op, args=args).message
        )


@pytest.mark.parametrize(
    ("op", "args", "said"),
    [
        (
            "insert",
            ["_storage", {}],
            "System tables (prefixed with `_`) are read-only.",
        ),
        ("insert", [3, {}], "takes a table's name"),
        ("insert", ["t", 3], ""),
        ("insert", ["t", {"_id": "x"}], "_id"),
        ("insert", ["bad name", {}], "bad name"),
        ("patch", ["x"], "takes an id and fields"),
        ("patch", [{}, {}], "an id is a string"),
        ("delete", [], "takes an id"),
    ],
)
def test_a_write_that_cannot_be_is_refused(op, args, said) -> None:
    message = lab_of(SOURCE).mutation_error("m:write", op=op, args=args).message
    assert said in message


def test_a_mutation_reads_what_it_wrote_and_documents_are_copies() -> None:
    assert lab_of(SOURCE).mutation("m:own") == [1, 2, 1]


def test_creation_times_rise_within_a_mutation() -> None:
    import math

    first, second = lab_of(SOURCE).mutation("m:creation_times")
    assert second == math.nextafter(first, math.inf)


def test_queries_do_not_write() -> None:
    lab = lab_of(SOURCE)
    for op in ("insert", "patch", "replace", "delete"):
        assert (
            f"`ctx.db.{op}`: queries only read. Make the function a mutation."
            in lab.query_error("m:write_in_query", op=op).message
        )
    assert (
        "AttributeError: `ctx.db` has no `nope`" in lab.query_error("m:no_such").message
    )


def test_system_tables_have_their_own_door() -> None:
    lab = lab_of(SOURCE)
    (one,) = lab.insert("t", {})
    system_id = lab.committer.catalog.tables["t"]
    del system_id
    assert lab.query("m:system_query", table="_storage") == []
    assert lab.query("m:system_query", table="_scheduled_functions") == []
    assert (
        "can only be accessed from db.query()"
        in lab.query_error("m:system_query", table="t").message
    )
    assert (
        "no system table that functions may read"
        in lab.query_error("m:system_query", table="_modules").message
    )
    assert (
        "can only be accessed from db.system.query()"
        in lab.query_error("m:user_query", table="_storage").message
    )
    assert (
        "User tables can only be accessed with db."
        in lab.query_error("m:system_get", id=one).message
    )


def test_a_system_tables_own_indexes_are_not_for_functions() -> None:
    lab = lab_of(SOURCE)
    for name in ("by_id", "by_creation_time"):
        assert lab.query("m:system_by", table="_scheduled_functions", index=name) == []
    for table, name in (("_scheduled_functions", "by_state"), ("_storage", "by_sha")):
        error = lab.query_error("m:system_by", table=table, index=name)
        assert f"Index {table}.{name} not found." in error.message
    for order in ("asc", "desc"):
        for field in ("completedTime", "scheduledTime", "_creationTime"):
            assert lab.query("m:system_order", field=field, order=order) == []


def test_system_ids_have_their_own_door() -> None:
    from convexlab.documents.ids import encode_id
    from convexlab.engine.system_tables import MODULES, STORAGE

    lab = lab_of(SOURCE)
    storage = encode_id(STORAGE, b"\1" * 16)
    assert lab.query("m:system_get", id=storage) is None
    assert (
        "can only be accessed with db.system."
        in lab.query_error("m:get", args=[storage]).message
    )
    modules = encode_id(MODULES, b"\1" * 16)
    assert (
        "no system table that functions may read"
        in lab.query_error("m:system_get", id=modules).message
    )
