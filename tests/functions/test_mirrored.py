"""What the mirror is told of an index's order: a place in it as a condition on documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings, strategies as st
from tests.functions.strategies import values_or_missing

from convexlab.documents.ordering import encode_key
from convexlab.documents.predicate import predicate
from convexlab.documents.value import UNDEFINED
from convexlab.functions.mirrored import beyond

if TYPE_CHECKING:
    from collections.abc import Sequence

PATHS = (("a",), ("b",), ("_creationTime",))
places = st.tuples(values_or_missing, values_or_missing, st.floats(0, 3))


def document(values: Sequence[Any]) -> dict[str, Any]:
    named = {path[0]: value for path, value in zip(PATHS, values, strict=True)}
    return {name: value for name, value in named.items() if value is not UNDEFINED}


@given(one=places, other=places)
@settings(max_examples=200)
def test_what_is_beyond_a_place_has_the_greater_key(one: Any, other: Any) -> None:
    for a, b in ((one, other), (one, one), (one, (*one[:2], other[2]))):
        judge = predicate(beyond(PATHS, a, is_reversed=False))
        assert judge(document(b)) == (encode_key(*b) > encode_key(*a))
        judge = predicate(beyond(PATHS, a, is_reversed=True))
        assert judge(document(b)) == (encode_key(*b) < encode_key(*a))
