"""documents/validator.py: two judges that agree, and words that help."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st
from tests.documents.strategies import TABLES, fitting, validators, values

from convexlab.documents.containers import validator_from_json
from convexlab.documents.ids import encode_id
from convexlab.documents.v import v
from convexlab.documents.validator import compile as compile_validator, is_identifier
from convexlab.documents.value import Int64
from convexlab.errors import ValueMismatch

USER = encode_id(TABLES["users"], bytes(16))
TASK = encode_id(TABLES["tasks"], bytes(16))
STRANGER = encode_id(10999, bytes(16))


def mismatch(validator, value, path: str = "") -> list[str]:
    with pytest.raises(ValueMismatch) as caught:
        validator.check(value, TABLES, path)
    with pytest.raises(ValueMismatch) as again:
        compile_validator(validator, TABLES)(value)
    if not path:
        assert str(again.value) == str(caught.value)
    return str(caught.value).split("\n")


# -- laws -----------------------------------------------------------------------------


@given(st.data())
def test_a_validator_accepts_what_fits_it(data):
    validator = data.draw(validators)
    strategy = fitting(validator)
    if strategy.is_empty:
        return
    value = data.draw(strategy)
    validator.check(value, TABLES)
    compile_validator(validator, TABLES)(value)


@given(validators, values)
def test_d1_the_fast_judge_and_the_one_that_explains_agree(validator, value):
    assert validator.fits(TABLES)(value) is (validator.mismatch(value, TABLES) is None)


@given(st.data())
def test_d1_the_judges_agree_on_what_almost_fits(data):
    validator = v.object(
        data.draw(
            st.dictionaries(st.sampled_from("abc"), validators, min_size=1, max_size=3)
        )
    )
    value = data.draw(
        st.dictionaries(
            st.sampled_from("abcd"), st.one_of(values, *_some(validator)), max_size=4
        )
    )
    assert validator.fits(TABLES)(value) is (validator.mismatch(value, TABLES) is None)


def _some(validator):
    found = [fitting(part) for part in validator.fields.values()]
    return [strategy for strategy in found if not strategy.is_empty]


@given(validators)
def test_d2_json_says_all_of_a_validator(validator):
    text = json.dumps(validator.json())
    back = validator_from_json(json.loads(text))
    assert back == validator
    assert back.json() == validator.json()
    assert str(back) == str(validator)
    assert hash(back) == hash(validator)


@given(validators, values)
def test_any_value_is_accepted_or_explained(validator, value):
    found = validator.mismatch(value, TABLES)
    if found is not None:
        assert "Validator: v." in str(found.error())


# -- what is said ----------------------------------------------------------------------------


def test_a_mismatch_says_path_value_and_validator():
    validator = v.object({"a": v.array(v.object({"b": v.string()}))})
    assert mismatch(validator, {"a": [{"b": "x"}, {"b": 1}]}) == [
        "Value does not match validator.",
        "Path: .a[1].b",
        "Value: 1",
        "Validator: v.string()",
    ]


def test_a_mismatch_at_the_top_has_no_path():
    assert mismatch(v.string(), Int64(5)) == [
        "Value does not match validator.",
        "",
        "Value: 5n",
        "Validator: v.string()",
    ]


def test_a_missing_field_is_named():
    lines = mismatch(v.object({"a": v.string()}), {})
    assert lines[0] == (
        "Object is missing the required field `a`. Consider wrapping the field validator "
        "in `v.optional(...)` if this is expected."
    )
    assert lines[1:] == ["", "Object: {}", "Validator: v.object({a: v.string()})"]


def test_an_extra_field_is_named():
    lines = mismatch(v.object({"a": v.object({})}), {"a": {"b": 1}})
    assert lines[0] == "Object contains extra field `b` that is not in the validator."
    assert lines[1:3] == ["Path: .a", "Object: {b: 1}"]


def test_an_id_of_another_table_is_named():
    assert mismatch(v.id("users"), TASK)[0] == (
        f"Found ID `{TASK}` from table `tasks`, which does not match the table name in "
        'validator `v.id("users")`.'
    )
    assert "number 10999" in mismatch(v.id("users"), STRANGER)[0]
    assert mismatch(v.id("users"), "x")[0] == "Value does not match validator."


def test_a_literal_is_named():
    assert mismatch(v.literal("a"), "b")[0] == (
        '`"b"` does not match literal validator `v.literal("a")`.'
    )


def test_records_say_keys_or_values():
    record = v.object({"r": v.record(v.id("users"), v.number())})
    assert mismatch(record, {"r": {TASK: 1}})[1] == "Path: .r.keys()"
    assert mismatch(record, {"r": {USER: "x"}})[1] == "Path: .r.values()"


def test_a_union_of_one_speaks_for_its_member():
    assert mismatch(v.union(v.object({"a": v.null()})), {"a": 1})[1] == "Path: .a"
    assert mismatch(v.nullable(v.object({"a": v.null()})), {"a": 1})[1] == ""


def test_a_path_may_begin_before_the_value():
    assert mismatch(v.object({"a": v.null()}), {"a": 1}, ".args")[1] == "Path: .args.a"


def test_identifiers_are_what_convex_allows():
    assert all(map(is_identifier, ["a", "_a", "aB9_", "a" * 64]))
    assert not any(
        map(is_identifier, ["", "_", "__", "9a", "a-b", "é", "a" * 65, "a\n", None, 1])
    )
