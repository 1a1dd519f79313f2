"""The types say what the validators say."""

from __future__ import annotations

import pytest

from convexlab import Int64, define_schema, define_table, v
from convexlab.cli.typescript import Spec, generated, type_of


@pytest.mark.parametrize(
    ("validator", "said"),
    [
        (v.null(), "null"),
        (v.number(), "number"),
        (v.int64(), "bigint"),
        (v.commit_ts(), "bigint"),
        (v.bytes(), "ArrayBuffer"),
        (v.any(), "any"),
        (v.literal("a"), '"a"'),
        (v.literal(True), "true"),
        (v.literal(Int64(-7)), "-7n"),
        (v.id("tasks"), 'Id<"tasks">'),
        (v.array(v.nullable(v.string())), "Array<string | null>"),
        (v.record(v.id("t"), v.boolean()), 'Record<Id<"t">, boolean>'),
        (v.object({}), "{}"),
        (v.object({"a": v.optional(v.number())}), "{ a?: number }"),
        (v.union(), "never"),
        (v.union(v.string(), v.string()), "string"),
    ],
)
def test_a_validator_is_a_type(validator, said):
    assert type_of(validator.json()) == said


def function(path, **more):
    module, name = path.split(":")
    return {
        "identifier": f"{module}.js:{name}",
        "functionType": "Query",
        "visibility": {"kind": "public"},
        "args": {"type": "any"},
        "returns": {"type": "null"},
        **more,
    }


def api_of(*functions, **descriptions):
    text = generated(Spec(list(functions), descriptions))["api.d.ts"]
    return text[text.index("export declare const api") :]


def test_functions_are_spelled_as_javascript_has_them():
    text = api_of(function("m:get_by_channel"), function("m:list"))
    assert "getByChannel: FunctionReference<" in text
    assert "get_by_channel" not in text
    assert "list: FunctionReference<" in text


def test_an_exact_name_wins():
    text = api_of(function("m:get_by"), function("m:getBy"))
    assert "getBy: " in text
    assert "get_by: " in text


def test_a_folder_and_a_module_of_one_name_are_one_place():
    text = api_of(function("a:b"), function("a/b:c"), function("a_b/c_d:e"))
    assert "& {" in text
    assert "  a_b: {\n    c_d: {" in text


def test_what_only_functions_call_is_apart_and_routes_are_left_out():
    hidden = function("m:hidden", visibility={"kind": "internal"})
    route = {"functionType": "HttpAction", "method": "GET", "path": "/x"}
    public, _, internal = api_of(hidden, route).partition("const internal")
    assert "hidden" not in public
    assert 'FunctionReference<"query", "internal", any, null>' in internal


def test_a_docstring_cannot_end_its_comment():
    text = api_of(function("m:f"), **{"m:f": "One */ two\n\nthree"})
    assert "   * One *\\/ two\n" in text


def test_documents_have_their_fields_paths_and_indexes():
    table = (
        define_table(
            {
                "body": v.string(),
                "by": v.object({"name": v.string(), "more": v.any()}),
                "vector": v.array(v.float64()),
            }
        )
        .index("by_name", ["by.name"])
        .index("later", ["body"], staged=True)
        .search_index("text", search_field="body", filter_fields=["by.name"])
        .vector_index("near", vector_field="vector", dimensions=3)
    )
    schema = define_schema({"messages": table}).to_json()
    text = generated(Spec([], {}, schema))["dataModel.d.ts"]
    assert '_id: GenericId<"messages">; _creationTime: number; body: string' in text
    assert '"by.name" | "by.more" | `by.more.${string}`' in text
    assert 'by_name: ["by.name", "_creationTime"];' in text
    assert "later" not in text
    assert 'filterFields: "by.name";' in text
    assert "filterFields: never;" in text


def test_without_a_schema_documents_may_be_anything():
    assert "AnyDataModel" in generated(Spec([]))["dataModel.d.ts"]
    loose = define_schema({"t": define_table({})}, strict_table_name_types=False)
    text = generated(Spec([], {}, loose.to_json()))["dataModel.d.ts"]
    assert "} & AnyDataModel;" in text
