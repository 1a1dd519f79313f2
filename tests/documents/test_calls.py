from __future__ import annotations

from types import MappingProxyType

import pytest

from convexlab.documents.calls import call_arguments
from convexlab.errors import InvalidArguments

CALL = "db.query(ref, …)"


def test_arguments_go_by_name_or_as_one_dict() -> None:
    assert call_arguments(CALL, (), {"from_": 1, "to": 2}) == {"from": 1, "to": 2}
    assert call_arguments(CALL, ({"from": 1},), {}) == {"from": 1}
    assert call_arguments(CALL, (MappingProxyType({"n_": 1}),), {}) == {"n_": 1}
    assert call_arguments(CALL, (), {}) == {}


def test_what_was_given_is_copied() -> None:
    given = {"n": [1]}
    values = call_arguments(CALL, (given,), {})
    given["n"].append(2)
    assert values == {"n": [1]}


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        (({"x": 1},), {"y": 1, "z": 2}, r"not both: put y, z into the dict\."),
        (([1],), {}, r"; this is a list\."),
        ((None,), {}, r"; this is None\."),
        ((5,), {"y": 1}, r"; this is an int\."),
        ((1, 2), {}, r"in their place\."),
    ],
)
def test_arguments_in_another_way_are_refused(args, kwargs, said) -> None:
    with pytest.raises(InvalidArguments, match=said) as refused:
        call_arguments(CALL, args, kwargs)
    assert str(refused.value).startswith(f"`{CALL}`: arguments go by name")
