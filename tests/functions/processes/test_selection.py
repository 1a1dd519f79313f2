"""A selection says which tables, and which of their fields."""

from __future__ import annotations

import pytest

from convexlab.errors import InvalidArguments
from convexlab.functions.processes.selection import selection_of

DOCUMENT = {"_id": "x", "name": "Ann", "ssn": "1"}
BUT_SSN = {"": {"users": {"_other": "included", "ssn": "excluded"}}}


def test_without_one_everything_is_wanted():
    assert selection_of().of("users") is True
    assert selection_of().fields("users", DOCUMENT) == DOCUMENT


def test_one_table_is_named():
    chosen = selection_of("users")
    assert (chosen.of("users"), chosen.of("others")) == (True, False)


def test_a_field_may_be_left_out():
    chosen = selection_of(told=BUT_SSN)
    assert chosen.fields("users", DOCUMENT) == {"_id": "x", "name": "Ann"}
    assert chosen.of("others") is False


def test_an_id_is_always_there():
    chosen = selection_of(told={"": {"users": {"name": "included"}}})
    assert chosen.fields("users", DOCUMENT) == {"_id": "x", "name": "Ann"}


@pytest.mark.parametrize(
    ("told", "users"),
    [
        ({"": "included"}, True),
        ({"": "excluded", "_other": "included"}, False),
        ({"_other": "included"}, True),
        ({}, False),
    ],
)
def test_what_is_not_named_is_as_the_others(told, users):
    assert selection_of(told=told).of("users") is users


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("included", "selection is 'included'"),
        ({"": "yes"}, "selection. is 'yes'"),
        ({"": {"users": 1}}, r"selection\.\.users is 1"),
        ({"": {"users": {"a": {}}}}, r"selection\.\.users\.a is {}"),
        ({"_other": {}}, "selection._other is {}"),
    ],
)
def test_what_is_none_is_refused_by_its_place(told, where):
    with pytest.raises(InvalidArguments, match=where):
        selection_of(told=told)


def test_two_ways_at_once_are_refused():
    with pytest.raises(InvalidArguments, match="leave `tableName`"):
        selection_of("users", told=BUT_SSN)


def test_there_are_no_components():
    with pytest.raises(InvalidArguments, match="no component `mail`"):
        selection_of(component="mail")
    assert selection_of("users", "").of("users") is True
