"""What was written is ordered by place; whom it concerns is in test_subscriptions."""

from __future__ import annotations

from tests.followers.reading import eq

from convexlab.documents.encoding import to_stored
from convexlab.documents.expression import encode
from convexlab.engine.look import Read
from convexlab.engine.versions import Versions
from convexlab.followers.written import Version, Written

ANN = encode(eq("owner", "ann"))


def test_places_come_in_order_with_the_version_that_is_there():
    old, new = to_stored({"owner": "ann"}), to_stored({"owner": "bob"})
    written = Written(
        [(1, b"c"), (2, b"z")], [Versions(old, new, ((1, b"b"),), ((1, b"a"),))]
    )
    assert set(written.index_ids) == {1, 2}
    places = written.places(1)
    assert [place.key for place in places] == [b"a", b"b", b"c"]
    assert [place.version and place.version.document for place in places] == [
        {"owner": "bob"},
        {"owner": "ann"},
        None,
    ]


def test_a_document_is_decoded_when_a_filter_looks_at_it():
    written = Written(versions=[Versions(None, b"no JSON", (), ((1, b"a"),))])
    assert written.touches([Read(1, b"a", b"b")])
    assert not written.touches([Read(1, b"b", None, ANN)])


def test_a_place_without_a_version_concerns_every_filter():
    assert Written([(1, b"a")]).touches([Read(1, b"", None, ANN)])


def test_a_version_is_decoded_once():
    version = Version(to_stored({"a": 1}))
    assert version.document is version.document
