"""documents/rules.py: one refusal, wherever the object came from."""

from __future__ import annotations

import pytest

from convexlab.documents.rules import (
    Refusal,
    check_array,
    check_field_name,
    check_object,
    check_top_names,
)
from convexlab.errors import InvalidValue, LimitExceeded


def test_a_refusal_collects_its_path_from_the_inside_out():
    refused = Refusal("is wrong")
    refused.steps += ["[0]", ".a"]
    assert str(refused.error("")) == "`a[0]` is wrong"
    assert str(refused.error("tasks")) == "`tasks.a[0]` is wrong"
    assert isinstance(refused.error(""), InvalidValue)
    assert str(Refusal("is wrong").error("")) == "The value is wrong"


def test_a_path_is_cut_where_it_no_longer_helps():
    refused = Refusal("is a field name that is too long")
    refused.steps += [f".{'a' * 2000}"]
    message = str(refused.error("tasks"))
    assert message.startswith("`tasks.aaa")
    assert len(message) < 300


def test_a_limit_is_an_error_of_its_own_kind():
    error = Refusal("is too long", kind="ArrayTooLongError").error("")
    assert isinstance(error, LimitExceeded)
    assert error.kind == "ArrayTooLongError"


@pytest.mark.parametrize("name", ["", "a", "_a", "a b", "a.b", "~", "a$", "9"])
def test_printable_ascii_is_a_field_name(name):
    check_field_name(name)
    check_object({name: 1}, 1)


@pytest.mark.parametrize("name", ["$", "$a", "é", "\x7f", "a\n", "\t", "a" * 1025])
def test_anything_else_is_not(name):
    with pytest.raises(Refusal):
        check_field_name(name)
    for _ in range(2):  # a bad name is not taken for a known one
        with pytest.raises(Refusal):
            check_object({"a": 1, name: 1}, 1)


def test_only_convex_has_underscored_names_at_the_top():
    check_top_names({"_id": 1, "_creationTime": 1, "a_": 1})
    for _ in range(2):
        with pytest.raises(InvalidValue, match="`_x`"):
            check_top_names({"a_": 1, "_x": 1})


def test_many_names_do_not_wear_the_check_out():
    for i in range(9000):
        check_object({f"name{i}": i}, 1)
        check_top_names({f"name{i}": i})
    with pytest.raises(Refusal):
        check_object({"$name": 1}, 1)


def test_depth_is_counted_from_the_outside():
    check_array(0, 64)
    check_object({}, 64)
    for check in (lambda: check_array(0, 65), lambda: check_object({}, 65)):
        with pytest.raises(Refusal, match="nested too deeply"):
            check()
