"""Text search as functions see it: what is found, what is refused, what is followed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.functions.lab import lab_of

from convexlab import knobs
from convexlab.documents.ids import decode_id
from convexlab.documents.schema import define_schema, define_table
from convexlab.documents.v import v
from convexlab.documents.value import UNDEFINED
from convexlab.engine.definitions import activate_schema, declare_schema
from convexlab.engine.versions import net_versions
from convexlab.errors import CallerError
from convexlab.followers.text.request import (
    TextAnswer,
    decode_request,
    encode_answer,
)
from convexlab.followers.written import Written
from convexlab.functions.text_search import text_search
from convexlab.testing import deployment

SCHEMA = """
from convexlab import define_schema, define_table, v
schema = define_schema({
    "docs": define_table({"body": v.string(), "owner": v.optional(v.string())})
    .search_index("said", search_field="body", filter_fields=["owner"])
    .search_index("later", search_field="body", staged=True),
})
"""

FUNCTIONS = """
from convexlab import UNDEFINED, mutation, query

def said(ctx, text, **filters):
    def search(q):
        q = q.search("body", text)
        for field, value in filters.items():
            q = q.eq(field, value)
        return q
    return ctx.db.query("docs").with_search_index("said", search)

@mutation
def add(ctx, bodies: list[str], owner: str | None = None):
    return [ctx.db.insert("docs", {"body": body, "owner": owner or UNDEFINED}) for body in bodies]

@query
def find(ctx, text: str, owner: str | None = None):
    found = said(ctx, text) if owner is None else said(ctx, text, owner=owner)
    return [d["body"] for d in found]

@query
def ownerless(ctx, text: str):
    return [d["body"] for d in said(ctx, text, owner=UNDEFINED)]

@query
def ways(ctx, text: str):
    q = said(ctx, text)
    page = q.paginate(num_items=2, cursor=None)
    rest = q.paginate(num_items=5, cursor=page["continueCursor"])
    return {
        "count": q.count(), "first": q.first()["body"], "take": [d["body"] for d in q.take(2)],
        "loop": [d["body"] for d in q], "filter": [d["body"] for d in q.filter(lambda d: d.body != "one")],
        "pages": [[d["body"] for d in page["page"]], [d["body"] for d in rest["page"]], rest["isDone"]],
        "split": page["splitCursor"], "keys": sorted(q.first()),
    }

@query
def page(ctx, text: str, cursor: str | None, n: int):
    return said(ctx, text).paginate({"numItems": n, "cursor": cursor, "maximumRowsRead": 1})

@mutation
def within(ctx):
    def bodies(text):
        return [d["body"] for d in said(ctx, text)]
    first = bodies("blue")
    new = ctx.db.insert("docs", {"body": "blue blue"})
    second = bodies("bl")
    ctx.db.patch(new, {"body": "red"})
    third = bodies("blue")
    for d in said(ctx, "blue").take(1):
        ctx.db.delete(d["_id"])
    return [first, second, third, bodies("blue"), bodies("red")]

@mutation
def moves(ctx):
    blue = [d["_id"] for d in said(ctx, "blue")]
    def owned(owner):
        return sorted(d["body"] for d in said(ctx, "blue", owner=owner))
    ctx.db.patch(blue[0], {"owner": "ann"})
    seen = [owned("ann"), owned(UNDEFINED)]
    ctx.db.patch(blue[0], {"owner": "bob"})
    ctx.db.replace(blue[1], {"body": "blue again", "owner": "ann"})
    return [*seen, owned("ann"), owned("bob"), owned(UNDEFINED)]

@mutation
def spoils(ctx, fail: bool):
    kept, gone = said(ctx, "blue").take(2)
    ctx.db.patch(kept["_id"], {"body": "blue spoilt"})
    ctx.db.delete(gone["_id"])
    ctx.db.insert("docs", {"body": "blue inner"})
    assert len(said(ctx, "blue").collect()) == 3
    if fail:
        raise ValueError

@mutation
def spoilt(ctx):
    def bodies():
        return sorted(d["body"] for d in said(ctx, "blue"))
    ctx.db.insert("docs", {"body": "a long and blue outer"})
    found = [bodies()]
    for fail in (True, False):
        try:
            ctx.run_mutation(spoils, fail=fail)
        except ValueError:
            pass
        found.append(bodies())
    return found

@mutation
def change(ctx, text: str, to: str | None = None):
    (one,) = [d for d in said(ctx, text) if d["body"] == text]
    if to is None:
        ctx.db.delete(one["_id"])
    else:
        ctx.db.patch(one["_id"], {"body": to})

@query
def taken(ctx, text: str, n: int):
    return len(said(ctx, text).take(n))

@query
def collected(ctx, text: str):
    return len(said(ctx, text).collect())
"""


@pytest.fixture
def t() -> Any:
    t = deployment({"schema": SCHEMA, "m": FUNCTIONS})
    t.mutation("m:add", bodies=["one", "one two", "one two three"], owner="ann")
    t.mutation("m:add", bodies=["blue sky", "blue"])
    return t


def test_documents_come_best_first(t: Any):
    assert t.query("m:find", text="one") == ["one", "one two", "one two three"]
    assert t.query("m:find", text="three two") == ["one two three", "one two"]
    assert t.query("m:find", text="t") == ["one two three", "one two"]
    assert t.query("m:find", text="") == t.query("m:find", text="!") == []


def test_filters_must_hold(t: Any):
    assert t.query("m:find", text="three", owner="ann") == ["one two three"]
    assert t.query("m:find", text="three", owner="bob") == []
    assert t.query("m:ownerless", text="blue one") == ["blue", "blue sky"]


def test_a_search_is_read_in_all_the_ways_of_queries(t: Any):
    assert t.query("m:ways", text="one") == {
        "count": 3,
        "first": "one",
        "take": ["one", "one two"],
        "loop": ["one", "one two", "one two three"],
        "filter": ["one two", "one two three"],
        "pages": [["one", "one two"], ["one two three"], True],
        "split": None,
        "keys": ["_creationTime", "_id", "body", "owner"],
    }


def test_pages_are_not_bounded_by_what_they_read(t: Any):
    page = t.query("m:page", text="one", cursor=None, n=3)
    assert (len(page["page"]), page["isDone"], page["pageStatus"]) == (3, False, None)
    assert page["splitCursor"] is None
    last = t.query("m:page", text="one", cursor=page["continueCursor"], n=3)
    assert (last["page"], last["isDone"]) == ([], True)


def test_a_mutation_sees_what_it_wrote(t: Any):
    assert t.mutation("m:within") == [
        ["blue", "blue sky"],
        ["blue blue", "blue", "blue sky"],
        ["blue", "blue sky"],
        ["blue sky"],
        ["red"],
    ]


def test_what_moves_out_of_a_filter_is_not_found_by_it(t: Any):
    expected = [["blue"], ["blue sky"], ["blue again"], ["blue"], []]
    assert t.mutation("m:moves") == expected
    assert t.query("m:find", text="blue", owner="ann") == ["blue again"]
    assert t.query("m:ownerless", text="blue") == []


def test_what_a_failed_inner_mutation_wrote_is_not_found(t: Any):
    before = ["a long and blue outer", "blue", "blue sky"]
    after = ["a long and blue outer", "blue inner", "blue spoilt"]
    assert t.mutation("m:spoilt") == [before, before, after]
    assert sorted(t.query("m:find", text="blue")) == after


def test_pages_go_on_while_documents_come_change_and_go(t: Any):
    others = ["other"] * 60  # or the few that change would be counted anew
    t.mutation("m:add", bodies=[*others, *(f"green{' grass' * n}" for n in range(6))])
    first = t.query("m:page", text="green", cursor=None, n=2)
    assert [d["body"] for d in first["page"]] == ["green", "green grass"]
    t.mutation("m:change", text="green")  # was on the first page
    t.mutation("m:change", text="green grass grass grass")  # would come
    t.mutation("m:change", text="green grass", to="green green")  # seen, better now
    t.mutation("m:add", bodies=["green and so on and on and on and on"])  # the last one
    found, cursor, is_done = [], first["continueCursor"], False
    while not is_done:
        page = t.query("m:page", text="green", cursor=cursor, n=2)
        found += [d["body"] for d in page["page"]]
        cursor, is_done = page["continueCursor"], page["isDone"]
    assert found == [
        "green grass grass",
        "green grass grass grass grass",
        "green grass grass grass grass grass",
        "green and so on and on and on and on",
    ]


def test_more_than_1024_are_not_read_to_their_end(t: Any):
    t.mutation("m:add", bodies=["many"] * 1023)
    assert t.query("m:collected", text="many") == 1023
    t.mutation("m:add", bodies=["many"])
    assert t.query("m:taken", text="many", n=1024) == 1024
    with pytest.raises(CallerError, match=r"too many documents \(fetched 1024\)"):
        t.query("m:collected", text="many")
    with pytest.raises(CallerError, match="too many"):
        t.query("m:taken", text="many", n=1025)


@pytest.mark.parametrize(
    ("index", "search", "options", "said"),
    [
        ("'said'", "lambda q: q.search('owner', 'a')", "", "is over the field `body`, not `owner`"),
        ("'said'", "lambda q: q.eq('owner', 'a')", "", "needs what to look for"),
        ("'said'", "lambda q: q.search('body', 'a').search('body', 'b')", "", "called twice"),
        ("'said'", "lambda q: q.search('body', 'a').eq('text', 'b')", "", "no filter field `text`; it has `owner`"),
        ("'said'", "lambda q: q.search('body', 'a').eq(1, 'b')", "", "a filter field's name"),
        ("'said'", "lambda q: q.search('body', 5)", "", "the text is a string"),
        ("'said'", "lambda q: q.search(None, 'a')", "", "the field is a string"),
        ("'said'", "lambda q: q.eq('owner', 'a') and q.search('body', 'b')", "", "cannot look into a search"),
        ("'said'", "lambda q: None", "", "returned None"),
        ("'said'", "'hello'", "", "a search is a function, not 'hello'"),
        ("'said'", "lambda q: [q := q.search('body', 'a')] and [q := q.eq('owner', str(n)) for n in range(9)][-1]", "", "at most 8 filters; this one has 9"),
        ("'later'", "lambda q: q.search('body', 'a')", "", "docs.later is currently staged"),
        ("'no'", "lambda q: q.search('body', 'a')", "", "Search index docs.no not found"),
        ("'said'", "lambda q: q.search('body', 'a')", ").order('desc'", "in the order of their scores"),
        ("'said'", "lambda q: q.search('body', 'a')", ").order_by('body'", "in the order of their scores"),
        ("'said'", "lambda q: q.search('body', 'a')", ").with_index('by_id'", "has its index already"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_explained(
    index: str, search: str, options: str, said: str
):
    source = f"""
from convexlab import query
@query
def f(ctx):
    return ctx.db.query("docs").with_search_index({index}, {search}{options}).collect()
"""
    t = deployment({"schema": SCHEMA, "m": source})
    with pytest.raises(CallerError, match="(?s)" + said):
        t.query("m:f")


# -- what is followed --------------------------------------------------------------------


def searched_lab() -> Any:
    lab = lab_of()
    table = define_table(v.any()).search_index(
        "said", search_field="body", filter_fields=["owner"]
    )
    schema = define_schema({"docs": table}, schema_validation=False)
    lab.table("docs")
    lab.system(lambda tx: declare_schema(tx, schema))
    lab.system(activate_schema)
    return lab


def said_nothing(name: str, request: bytes) -> bytes:
    del name, request
    return encode_answer(TextAnswer(b"", []))


def test_an_index_that_counts_anew_while_it_is_read_loses_nothing_and_repeats_nothing():
    """A search asks for a few, then for all; the second answer may be in another order."""
    lab = searched_lab()
    tx = lab.committer.begin()
    few = knobs.SEARCH_FIRST_RESULTS
    ids = tx.insert_many("docs", [{"body": "a"} for _ in range(few + 5)])
    internal = [decode_id(id_)[1] for id_ in ids]
    answers = iter([internal[:few], internal[::-1]])

    def ask(name: str, request: bytes) -> bytes:
        del name, request
        said = next(answers)
        return encode_answer(TextAnswer(b"".join(said), [1.0] * len(said)))

    found = text_search(tx, ask, "docs", "said", lambda q: q.search("body", "a"))
    rows = [document["_id"] for _, document in found.rows(tx)]
    assert rows[:few] == ids[:few]
    assert sorted(rows) == sorted(ids)


def test_an_index_is_asked_for_as_many_as_are_wanted():
    tx = searched_lab().committer.begin(writable=False)
    asked: list[int] = []

    def ask(name: str, request: bytes) -> bytes:
        asked.append(decode_request(request).limit)
        return said_nothing(name, request)

    found = text_search(tx, ask, "docs", "said", lambda q: q.search("body", "a"))
    for expect in (None, 1, 10, 5000):
        assert list(found.rows(tx, expect)) == []
    few, most = knobs.SEARCH_FIRST_RESULTS, knobs.MAX_SEARCH_RESULTS
    assert asked == [few, 1, 10, most]


def test_kinds_of_refusals_are_convexs():
    tx = searched_lab().committer.begin(writable=False)

    def kind(search: Any) -> str | None:
        with pytest.raises(CallerError) as error:
            text_search(tx, said_nothing, "docs", "said", search)
        return getattr(error.value, "kind", None)

    assert kind(lambda q: q.search("x", "a")) == "IncorrectSearchField"
    assert kind(lambda q: q) == "MissingSearchFilterError"
    assert (
        kind(lambda q: q.search("body", "a").search("body", "a"))
        == "DuplicateSearchFiltersError"
    )
    assert (
        kind(lambda q: q.search("body", "a").eq("x", 1)) == "IncorrectFilterFieldError"
    )


@pytest.mark.parametrize(
    ("text", "owner", "written", "is_touched"),
    [
        ("pen", None, {"body": "penguin"}, True),
        ("pen", None, {"body": "Oh, PENGUIN"}, True),
        ("pen", None, {"body": "dampen"}, False),
        ("pen lo", None, {"body": "penguin"}, False),
        ("penguin world", None, {"body": "penguin"}, True),
        ("pen", None, {"body": 5}, False),
        ("pen", None, {"title": "penguin"}, False),
        ("pen", "ann", {"body": "penguin", "owner": "ann"}, True),
        ("pen", "ann", {"body": "penguin", "owner": "bob"}, False),
        ("pen", UNDEFINED, {"body": "penguin"}, True),
        ("pen", UNDEFINED, {"body": "penguin", "owner": None}, False),
    ],
)
def test_a_query_follows_what_could_be_found(
    text: str, owner: Any, written: Any, is_touched: bool
):
    lab = searched_lab()
    tx = lab.committer.begin(writable=False)

    def search(q: Any) -> Any:
        q = q.search("body", text)
        return q if owner is None else q.eq("owner", owner)

    found = text_search(tx, said_nothing, "docs", "said", search)
    assert list(found.rows(tx)) == []
    reads = tx.reads()
    writing = lab.committer.begin()
    writing.insert("docs", written)
    versions = net_versions(writing.finish().write_set)
    assert Written(versions=versions).touches(reads) == is_touched
