"""Whole tables: emptied, renamed and dropped under the eyes of whoever follows them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.kernel_ext.conftest import deploy

from convexlab.errors import InvalidArguments, NotAllowed, NotFound, SchemaViolation
from convexlab_kernel.pushing import push
from convexlab_kernel.views import MIME

MODULE = """
from convexlab import mutation, query

@query
def birds(ctx):
    return sorted(b["name"] for b in ctx.db.query("birds"))

@query
def total(ctx):
    return ctx.db.query("renamed").count()

@query
def nests(ctx):
    return [[n["bird"], ctx.db.get(n["bird"])] for n in ctx.db.query("nests")]

@mutation
def build(ctx, bird: str):
    return ctx.db.insert("nests", {"bird": bird, "eggs": 0})

@mutation
def lay(ctx, nest: str):
    ctx.db.patch(nest, {"eggs": 1})
"""
SCHEMA = """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "birds": define_table({"name": v.string()}).index("by_name", ["name"]),
    "nests": define_table({"bird": v.id("birds"), "eggs": v.number()}),
})
"""
MANY = [{"name": f"{n}"} for n in range(1000)]


@pytest.fixture
def birds(db):
    deploy(db, m=MODULE)
    if "birds" not in db.tables:
        db.table("birds").insert({"name": "first"})
        db.table("birds").clear()
    yield db.table("birds")
    push(db, [], mode="replace_all")
    for name in {"birds", "renamed", "nests"} & set(db.tables):
        db.table(name).drop()


def test_a_table_with_a_past_says_how_far_back(birds):
    """Kept where cells are edited; backwards only."""
    data, _ = birds.history(timedelta(minutes=1))._repr_mimebundle_()
    view = data[MIME]["view"]
    assert (view["kind"], view["table"], view["back"]) == ("stored", "birds", 60.0)
    with pytest.raises(InvalidArguments, match="reaches back"):
        birds.history(-1)


def test_an_emptied_table_is_empty_for_everybody_at_once(db, birds):
    """However many documents there were: they go away in slices, out of sight."""
    birds.insert(MANY)
    with db.watch("m:birds") as live:
        live.wait_for(lambda names: len(names) == 1000)
        birds.clear()
        seen = live.wait_for(lambda names: len(names) < 1000)
        assert seen == []
        birds.insert({"name": "wren"})
        assert live.wait_for(lambda names: names == ["wren"])
    assert [row["name"] for row in birds] == ["wren"]


def test_what_refers_to_an_emptied_table_can_still_be_written(db, birds):
    deploy(db, m=MODULE, schema=SCHEMA)
    birds.insert({"name": "owl"})
    (owl,) = birds.collect()
    nest = db.mutation("m:build", bird=owl["_id"])
    birds.clear()
    assert db.query("m:nests") == [[owl["_id"], None]]
    db.mutation("m:lay", nest=nest)
    assert db.table("nests").collect()[0]["eggs"] == 1
    assert db.query("m:birds") == []


def test_a_renamed_table_keeps_its_documents(db, birds):
    birds.insert(MANY[:3])
    before = {row["_id"] for row in birds}
    with db.watch("m:birds") as live, db.watch("m:total") as total:
        live.wait_for(lambda names: len(names) == 3)
        total.wait_for(lambda count: count == 0)
        renamed = birds.rename("renamed")
        assert live.wait_for(lambda names: names == []) == []
        assert total.wait_for(lambda count: count == 3) == 3
    assert {row["_id"] for row in renamed} == before
    assert "birds" not in db.tables


def test_a_dropped_table_is_gone(db, birds):
    birds.insert(MANY)
    with db.watch("m:birds") as live:
        live.wait_for(lambda names: len(names) == 1000)
        birds.drop()
        assert live.wait_for(lambda names: names == []) == []
    assert "birds" not in db.tables
    birds.insert({"name": "anew"})
    assert len(birds) == 1


def test_what_cannot_be_done_to_a_table_is_said(db, birds):
    db.table("renamed").insert({})
    with pytest.raises(InvalidArguments, match="a table `renamed` already"):
        birds.rename("renamed")
    with pytest.raises(SchemaViolation, match="`_birds` is a reserved table name"):
        birds.rename("_birds")
    with pytest.raises(NotFound, match="no table `nothing`"):
        db.table("nothing").drop()
    deploy(db, m=MODULE, schema=SCHEMA)
    with pytest.raises(NotAllowed, match=r"the table `birds`, .*in `nests`"):
        birds.drop()
    with pytest.raises(NotAllowed, match="change the schema first"):
        birds.rename("x")
