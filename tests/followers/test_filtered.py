"""A filter is found by what it requires; every comparison is in test_subscriptions."""

from __future__ import annotations

from tests.followers.reading import eq

from convexlab.documents.encoding import to_stored
from convexlab.documents.expression import encode
from convexlab.engine.look import Read
from convexlab.followers.filtered import FilteredReads
from convexlab.followers.written import Filter, Place, Version


def touched(filtered, document, key=b"k"):
    found: set[str] = set()
    filtered.touched([Place(key, Version(to_stored(document)))], found)
    return found


def followed(**filters) -> FilteredReads[str]:
    """Tokens that read everything, each through its own filter."""
    filtered: FilteredReads[str] = FilteredReads()
    for token, node in filters.items():
        filtered.add(token, Read(1, b"", None, encode(node)))
    filtered.check()
    return filtered


def test_a_document_is_judged_by_the_filters_of_its_values_only(monkeypatch):
    filtered = followed(
        **{f"user{n}": ("and", eq("owner", n), eq("done", False)) for n in range(100)},
        rich=("gt", ("field", "amount"), ("literal", 100)),
    )
    judged = []
    judge = Filter.lets_in

    def lets_in(self, version):
        judged.append(self)
        return judge(self, version)

    monkeypatch.setattr(Filter, "lets_in", lets_in)
    assert touched(filtered, {"owner": 7, "done": False, "amount": 5}) == {"user7"}
    assert len(judged) == 2
    assert touched(filtered, {"owner": 7, "done": True, "amount": 500}) == {"rich"}


def test_one_of_several_values_is_found_by_each():
    one_of = ("or", eq("owner", "ann"), eq("owner", "bob"))
    filtered = followed(either=one_of, ann=eq("owner", "ann"))
    assert touched(filtered, {"owner": "ann"}) == {"either", "ann"}
    assert touched(filtered, {"owner": "bob"}) == {"either"}
    filtered.discard("either", Read(1, b"", None, encode(one_of)))
    filtered.check()
    assert touched(filtered, {"owner": "bob"}) == set()


def test_a_document_that_makes_the_filter_fail_concerns_its_query():
    filtered = followed(
        sums=("gt", ("add", ("field", "a"), ("literal", 1)), ("literal", 5))
    )
    assert touched(filtered, {"a": 1}) == set()
    assert touched(filtered, {"a": "text"}) == {"sums"}
    assert touched(filtered, {}) == {"sums"}
