"""Reads, filters and writes at random, and what they mean, said without any index."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from convexlab.documents.encoding import to_stored
from convexlab.documents.expression import decode, encode
from convexlab.documents.predicate import predicate
from convexlab.documents.value import UNDEFINED
from convexlab.engine.look import Read
from convexlab.engine.versions import Versions
from convexlab.errors import InvalidQuery

KEYS = st.binary(max_size=2)
INDEXES = st.integers(1, 2)
VALUES = st.sampled_from(["ann", "bob", 1, 1.0, None, True, [1]])


def eq(name: str, value: Any) -> Any:
    return "eq", ("field", name), ("literal", value)


FILTERS = st.sampled_from(
    [
        eq("owner", "ann"),
        eq("owner", "bob"),
        eq("owner", 1),
        eq("owner", UNDEFINED),
        eq("owner", [1]),
        ("and", eq("owner", "ann"), eq("done", True)),
        ("and", eq("done", True), ("gt", ("field", "owner"), ("literal", 0))),
        ("or", eq("owner", "ann"), eq("owner", "bob")),
        ("gt", ("field", "owner"), ("literal", "a")),
        ("not", eq("owner", "ann")),
        ("field", "done"),
        ("and", ("neg", ("field", "owner")), eq("done", True)),
    ]
).map(encode)


@st.composite
def reads(draw: st.DrawFn) -> Read:
    """A point, a range or a half-open one; empty ones among them."""
    index_id, start = draw(INDEXES), draw(KEYS)
    where = draw(st.none() | FILTERS)
    kind = draw(st.sampled_from(["point", "open", "range", "range"]))
    if kind == "point":
        return Read(index_id, start, start + b"\0", where)
    return Read(index_id, start, None if kind == "open" else draw(KEYS), where)


DOCUMENTS = st.dictionaries(st.sampled_from(["owner", "done"]), VALUES).map(to_stored)
PLACES = st.lists(st.tuples(INDEXES, KEYS), max_size=12)


@st.composite
def _versions(draw: st.DrawFn) -> Versions:
    old, new = draw(st.none() | DOCUMENTS), draw(st.none() | DOCUMENTS)
    places = st.lists(st.tuples(INDEXES, KEYS), max_size=3).map(tuple)
    return Versions(old, new, draw(places) if old else (), draw(places) if new else ())


VERSIONS = st.lists(_versions(), max_size=4)


def concerns(read: Read, keys: Any, versions: Any) -> bool:
    """S1, place by place."""
    places = [(*place, None) for place in keys]
    for old, new, old_keys, new_keys in versions:
        places += [(*place, old) for place in old_keys]
        places += [(*place, new) for place in new_keys]
    return any(
        index_id == read.index_id
        and read.start <= key
        and (read.end is None or key < read.end)
        and (read.where is None or body is None or matters(read.where, body))
        for index_id, key, body in places
    )


def matters(where: bytes, body: bytes) -> bool:
    from convexlab.documents.encoding import from_stored

    try:
        return predicate(decode(where))(from_stored(body))  # type: ignore[arg-type]
    except InvalidQuery:
        return True
