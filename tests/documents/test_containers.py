"""documents/containers.py: objects that are cut, joined and kept."""

from __future__ import annotations

from convexlab.documents.containers import validator_from_json
from convexlab.documents.v import v


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


def test_what_may_hold_anything_is_judged_by_its_type_alone():
    doc = v.record(v.string(), v.any())
    assert doc.types() == {dict}
    assert v.array(v.any()).types() == {list}
    assert v.union(doc, v.null()).is_decided_by_type()
    for closer in (v.record(v.id("users"), v.any()), v.record(v.string(), v.null())):
        assert not closer.types()
    assert not v.array(doc).types()
    assert v.array(doc).fits({})([{"a": 1}])
    assert not v.array(doc).fits({})([{"a": 1}, 1])
