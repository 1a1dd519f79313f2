"""documents/validators.py: two judges that agree, and words that help."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st
from tests.documents.strategies import TABLES, fitting, validators, values

from convexlab.documents.ids import encode_id
from convexlab.documents.validators import (
    EmbeddingValidator,
    as_object_validator,
    compile as compile_validator,
    is_identifier,
    v,
    validator_from_json,
)
from convexlab.documents.value import Int64
from convexlab.errors import SchemaViolation, ValueMismatch

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


# -- as Convex writes them ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("validator", "wire", "kind", "text"),
    [
        (v.null(), {"type": "null"}, "null", "v.null()"),
        (v.number(), {"type": "number"}, "float64", "v.float64()"),
        (v.float64(), {"type": "number"}, "float64", "v.float64()"),
        (v.int64(), {"type": "bigint"}, "int64", "v.int64()"),
        (v.bigint(), {"type": "bigint"}, "int64", "v.int64()"),
        (v.boolean(), {"type": "boolean"}, "boolean", "v.boolean()"),
        (v.string(), {"type": "string"}, "string", "v.string()"),
        (v.bytes(), {"type": "bytes"}, "bytes", "v.bytes()"),
        (v.any(), {"type": "any"}, "any", "v.any()"),
        (
            v.literal("x"),
            {"type": "literal", "value": "x"},
            "literal",
            'v.literal("x")',
        ),
        (v.literal(1), {"type": "literal", "value": 1}, "literal", "v.literal(1)"),
        (
            v.literal(True),
            {"type": "literal", "value": True},
            "literal",
            "v.literal(true)",
        ),
        (
            v.literal(Int64(5)),
            {"type": "literal", "value": {"$integer": "BQAAAAAAAAA="}},
            "literal",
            "v.literal(5n)",
        ),
        (v.id("users"), {"type": "id", "tableName": "users"}, "id", 'v.id("users")'),
        (
            v.array(v.string()),
            {"type": "array", "value": {"type": "string"}},
            "array",
            "v.array(v.string())",
        ),
        (
            v.object({"a": v.null(), "b": v.optional(v.any())}),
            {
                "type": "object",
                "value": {
                    "a": {"fieldType": {"type": "null"}, "optional": False},
                    "b": {"fieldType": {"type": "any"}, "optional": True},
                },
            },
            "object",
            "v.object({a: v.null(), b: v.optional(v.any())})",
        ),
        (
            v.record(v.string(), v.number()),
            {
                "type": "record",
                "keys": {"type": "string"},
                "values": {"fieldType": {"type": "number"}, "optional": False},
            },
            "record",
            "v.record(v.string(), v.float64())",
        ),
        (
            v.nullable(v.string()),
            {"type": "union", "value": [{"type": "string"}, {"type": "null"}]},
            "union",
            "v.union(v.string(), v.null())",
        ),
    ],
)
def test_validators_are_written_as_convex_writes_them(validator, wire, kind, text):
    assert validator.json() == wire
    assert validator.kind == kind
    assert str(validator) == text
    assert repr(v.optional(validator)) == f"v.optional({text})"


def test_introspection_has_the_parts():
    validator = v.object({"a": v.optional(v.array(v.id("users")))})
    assert validator.fields["a"].is_optional
    assert not validator.is_optional
    assert validator.fields["a"].element.table_name == "users"
    assert [m.kind for m in v.nullable(v.string()).members] == ["string", "null"]
    assert v.literal("x").value == "x"
    record = v.record(v.string(), v.any())
    assert (record.key.kind, record.value.kind) == ("string", "any")


def test_optional_is_part_of_what_a_validator_is():
    assert v.optional(v.string()) != v.string()
    assert v.optional(v.string()).required() == v.string()
    assert v.literal(1) != v.literal(True)
    assert v.string() != "v.string()"


# -- what is accepted ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validator", "accepted", "refused"),
    [
        (v.number(), [1, 1.5, float("nan"), -0.0], [Int64(1), True, None, "1"]),
        (v.int64(), [Int64(1)], [1, 1.0, True]),
        (v.boolean(), [True, False], [0, 1, None]),
        (v.string(), ["", "é"], [b"", None, 1]),
        (v.bytes(), [b""], [""]),
        (v.null(), [None], [False, 0, ""]),
        (v.any(), [None, {}, [1], "x", Int64(1), b""], []),
        (v.literal(1), [1, 1.0], [True, Int64(1), "1", 2]),
        (v.literal(Int64(1)), [Int64(1)], [1, True]),
        (v.id("users"), [USER], [TASK, STRANGER, "x", None, 1]),
        (v.id("nowhere"), [], [USER, "x"]),
        (v.union(), [], [None, 1, {}]),
        (v.union(v.literal("a"), v.literal("b")), ["a", "b"], ["c", 1, None]),
        (v.array(v.nullable(v.id("users"))), [[], [USER, None]], [[TASK], [1], None]),
        (v.array(v.union(v.string(), v.number())), [["a", 1]], [[None], {"a": 1}]),
        (v.object({}), [{}], [{"a": 1}, [], None]),
        (
            v.object({"a": v.optional(v.null())}),
            [{}, {"a": None}],
            [{"a": 1}, {"b": None}],
        ),
        (
            v.record(v.id("users"), v.number()),
            [{}, {USER: 1}],
            [{TASK: 1}, {USER: "x"}, []],
        ),
        (v.record(v.string(), v.any()), [{"a": [1]}], [[], "a"]),
    ],
)
def test_what_is_accepted_and_what_is_refused(validator, accepted, refused):
    fits = validator.fits(TABLES)
    for value in accepted:
        assert fits(value), value
        validator.check(value, TABLES)
    for value in refused:
        assert not fits(value), value
        mismatch(validator, value)


def test_tables_are_looked_up_anew_for_each_value():
    tables: dict[str, int] = {}
    check = compile_validator(v.id("users"), tables)
    with pytest.raises(ValueMismatch):
        check(USER)
    tables["users"] = TABLES["users"]
    check(USER)


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


# -- definitions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("define", "words"),
    [
        (lambda: v.object({"a": None}), "field `a` has None.*circular import"),
        (lambda: v.object({"a": str}), "where a validator belongs"),
        (lambda: v.object([v.string()]), "takes a dict"),
        (lambda: v.object({"a b": v.string()}), "'a b' cannot be a field's name"),
        (lambda: v.object({"1a": v.string()}), "cannot be a field's name"),
        (lambda: v.object({"__": v.string()}), "cannot be a field's name"),
        (lambda: v.object({"a" * 65: v.string()}), "cannot be a field's name"),
        (lambda: v.object({1: v.string()}), "1 cannot be a field's name"),
        (lambda: v.array(None), "where a validator belongs"),
        (lambda: v.array(v.optional(v.string())), "v.nullable"),
        (lambda: v.union(v.optional(v.string())), "v.nullable"),
        (lambda: v.record(v.string(), v.optional(v.string())), "v.nullable"),
        (lambda: v.record(v.literal("a"), v.any()), "cannot have string literal keys"),
        (lambda: v.record(v.union(v.id("a"), v.literal("a")), v.any()), "literal keys"),
        (lambda: v.record(v.number(), v.any()), "strings or ids"),
        (lambda: v.optional(None), "where a validator belongs"),
        (lambda: v.literal(None), r"v\.null\(\)"),
        (lambda: v.literal([1]), "a literal is"),
        (lambda: v.literal(float("nan")), "not finite"),
        (lambda: v.id(None), "takes a table's name"),
        (lambda: v.id("a b"), "takes a table's name"),
        (lambda: validator_from_json({"type": "other"}), "is no validator"),
        (lambda: v.object({"a": v.string()}).pick("b"), "no field `b`"),
    ],
)
def test_a_wrong_definition_is_refused_where_it_stands(define, words):
    with pytest.raises(SchemaViolation, match=words):
        define()


def test_objects_are_cut_and_joined():
    whole = v.object({"a": v.string(), "b": v.optional(v.number()), "c": v.null()})
    assert whole.pick("c", "b") == v.object(
        {"c": v.null(), "b": v.optional(v.number())}
    )
    assert whole.omit("b", "nothing") == v.object({"a": v.string(), "c": v.null()})
    assert whole.extend({"a": v.any()}).fields["a"] == v.any()
    assert list(whole.extend({"d": v.any()}).fields) == ["a", "b", "c", "d"]
    assert all(part.is_optional for part in whole.partial().fields.values())
    assert v.optional(whole).pick("a").is_optional


def test_fields_keep_the_order_they_were_written_in():
    fields = ["zeta", "alpha", "mid"]
    validator = v.object({name: v.any() for name in fields})
    assert list(validator.fields) == fields
    assert list(validator_from_json(validator.json()).fields) == fields


def test_a_validator_does_not_change_with_the_dict_it_came_from():
    fields = {"a": v.string()}
    validator = v.object(fields)
    fields["b"] = v.string()
    assert list(validator.fields) == ["a"]


def test_a_dict_of_fields_is_an_object_validator():
    assert as_object_validator({"a": v.any()}) == v.object({"a": v.any()})
    assert as_object_validator(v.any()) == v.any()


def test_an_embedding_is_an_optional_array_that_knows_its_source():
    embedding = v.embedding("body", model="all-MiniLM-L6-v2")
    assert embedding.is_optional
    assert embedding.kind == "array"
    back = validator_from_json(v.object({"e": embedding}).json()).fields["e"]
    assert back == embedding
    assert isinstance(back, EmbeddingValidator)
    assert (back.source, back.model) == ("body", "all-MiniLM-L6-v2")
    assert embedding.json()["value"] == {"type": "number"}
    embedding.check([1, 0.5], TABLES)


def test_identifiers_are_what_convex_allows():
    assert all(map(is_identifier, ["a", "_a", "aB9_", "a" * 64]))
    assert not any(
        map(is_identifier, ["", "_", "__", "9a", "a-b", "é", "a" * 65, "a\n", None, 1])
    )
