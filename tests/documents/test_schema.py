"""documents/schema.py: definitions are checked where they are written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st
from tests.documents.strategies import TABLES, fitting, identifiers, objects, validators

from convexlab.documents.ids import encode_id
from convexlab.documents.schema import (
    Schema,
    TableDefinition,
    check_table_name,
    define_schema,
    define_table,
    may_hold,
)
from convexlab.documents.v import v
from convexlab.errors import SchemaViolation

USER = encode_id(TABLES["users"], bytes(16))


def example() -> Schema:
    return define_schema(
        {
            "users": define_table(
                {
                    "name": v.string(),
                    "email": v.string(),
                    "avatarUrl": v.optional(v.string()),
                    "address": v.object({"city": v.string()}),
                }
            )
            .index("by_email", ["email"], unique=True)
            .index("by_city", ["address.city", "name"], staged=True),
            "messages": define_table(
                {
                    "authorId": v.id("users"),
                    "body": v.string(),
                    "embedding": v.embedding("body", model="all-MiniLM-L6-v2"),
                }
            )
            .index("by_author", ["authorId"])
            .search_index(
                "search_body", search_field="body", filter_fields=["authorId"]
            )
            .vector_index(
                "by_embedding",
                vector_field="embedding",
                dimensions=384,
                filter_fields=["authorId"],
                staged=True,
            ),
            "anything": define_table(v.any()).index("by_what", ["what.ever"]),
        },
        schema_validation=True,
        strict_table_name_types=False,
    )


def test_a_schema_survives_json():
    schema = example()
    text = json.dumps(schema.to_json())
    back = Schema.from_json(json.loads(text))
    assert back.to_json() == schema.to_json()
    assert back.tables["users"].indexes == schema.tables["users"].indexes
    assert (
        back.tables["messages"].search_indexes
        == schema.tables["messages"].search_indexes
    )
    assert (
        back.tables["messages"].vector_indexes
        == schema.tables["messages"].vector_indexes
    )
    assert back.strict_table_name_types is False


def test_a_schema_is_written_as_convex_writes_it():
    users, messages, _ = example().to_json()["tables"]
    assert users["tableName"] == "users"
    assert users["indexes"] == [
        {"indexDescriptor": "by_email", "fields": ["email"], "unique": True}
    ]
    assert users["stagedDbIndexes"] == [
        {"indexDescriptor": "by_city", "fields": ["address.city", "name"]}
    ]
    assert messages["searchIndexes"] == [
        {
            "indexDescriptor": "search_body",
            "searchField": "body",
            "filterFields": ["authorId"],
        }
    ]
    assert messages["stagedVectorIndexes"] == [
        {
            "indexDescriptor": "by_embedding",
            "vectorField": "embedding",
            "dimensions": 384,
            "filterFields": ["authorId"],
        }
    ]
    assert messages["documentType"]["type"] == "object"


def test_fields_and_tables_keep_their_order():
    schema = example()
    assert list(schema.tables) == ["users", "messages", "anything"]
    back = Schema.from_json(schema.to_json())
    assert list(back.tables["users"].validator.fields) == [
        "name",
        "email",
        "avatarUrl",
        "address",
    ]


# -- what a table accepts -----------------------------------------------------------------


def test_a_document_is_checked_with_or_without_its_system_fields():
    check = define_table({"owner": v.id("users")}).compile("tasks", TABLES)
    check({"owner": USER})
    check({"_id": "anything", "_creationTime": 1.5, "owner": USER})
    with pytest.raises(SchemaViolation) as caught:
        check({"_id": "x", "_creationTime": 1.5, "owner": 1})
    assert str(caught.value).startswith(
        'Failed to insert or update a document in table "tasks" because it does not match '
        "the schema: Value does not match validator.\nPath: .owner\n"
    )
    with pytest.raises(SchemaViolation, match="extra field `b`"):
        check({"owner": USER, "b": 1})


@given(
    st.lists(st.dictionaries(identifiers, validators, max_size=3), max_size=3),
    st.data(),
)
def test_a_table_accepts_just_what_its_validator_does(branches, data):
    validator = (
        v.union(*map(v.object, branches))
        if len(branches) != 1
        else v.object(branches[0])
    )
    check = define_table(validator).compile("t", TABLES)
    strategy = fitting(validator)
    document = data.draw(objects if strategy.is_empty else st.one_of(objects, strategy))
    document = {
        name: item for name, item in document.items() if not name.startswith("_")
    }
    for whole in (document, {**document, "_id": "x", "_creationTime": 1.0}):
        if validator.fits(TABLES)(document):
            check(whole)
        else:
            with pytest.raises(SchemaViolation):
                check(whole)


def test_system_fields_in_a_definition_count_for_nothing():
    table = define_table(
        {"_id": v.number(), "_creationTime": v.string(), "a": v.null()}
    )
    assert table.validator == v.object({"a": v.null()})
    table.compile("t", TABLES)({"_id": "x", "_creationTime": 1.0, "a": None})
    union = define_table(v.union(v.object({"_id": v.number()}), v.any()))
    assert union.validator == v.union(v.object({}), v.any())


def test_doc_and_id_know_the_schema():
    schema = example()
    assert schema.id("users") == v.id("users")
    doc = schema.doc("users")
    assert doc.fields["_id"] == v.id("users")
    assert doc.fields["_creationTime"] == v.number()
    branches = define_schema(
        {"t": define_table(v.union(v.object({}), v.object({"a": v.any()})))}
    )
    assert all("_id" in member.fields for member in branches.doc("t").members)
    for ask in (schema.id, schema.doc):
        with pytest.raises(SchemaViolation, match="no table `nothing`"):
            ask("nothing")


# -- rules of definition -----------------------------------------------------------------


def table() -> TableDefinition:
    return define_table(
        {"a": v.string(), "b": v.object({"c": v.any()}), "d": v.optional(v.number())}
    )


@pytest.mark.parametrize(
    ("define", "words"),
    [
        (lambda: table().index("by_a", []), "has no fields"),
        (lambda: table().index("by_a", "a"), r'takes a list of fields: \["a"\]'),
        (lambda: table().index("by_a", ["_id"]), "leave it out"),
        (lambda: table().index("by_a", ["a", "_creationTime"]), "leave it out"),
        (lambda: table().index("by_a", ["b._x"]), "reserved"),
        (lambda: table().index("by_a", ["a", "a"]), "names a field twice"),
        (lambda: table().index("by_a", ["x"]), "no document of the table can have"),
        (lambda: table().index("by_a", ["a.x"]), "no document of the table can have"),
        (lambda: table().index("by_a", ["a b"]), "no field path"),
        (lambda: table().index("by_a", ["a."]), "no field path"),
        (lambda: table().index("_by_a", ["a"]), "reserved index name"),
        (lambda: table().index("by_id", ["a"]), "reserved index name"),
        (lambda: table().index("by_creation_time", ["a"]), "reserved index name"),
        (lambda: table().index("by a", ["a"]), "cannot be an index's name"),
        (lambda: table().index("x" * 65, ["a"]), "cannot be an index's name"),
        (lambda: table().index("i", ["a"]).index("i", ["d"]), "two indexes called `i`"),
        (
            lambda: table().index("i", ["a"]).index("j", ["a"]),
            "`i` and `j` have the same fields",
        ),
        (
            lambda: table().index("i", ["a"]).search_index("i", search_field="a"),
            "two indexes",
        ),
        (
            lambda: (
                table()
                .search_index("i", search_field="a")
                .search_index("j", search_field="a")
            ),
            "`i` and `j` have the same fields",
        ),
        (
            lambda: table().search_index("i", search_field="x"),
            "no document of the table",
        ),
        (
            lambda: table().search_index("i", search_field="a", filter_fields=["x"]),
            "no document of the table",
        ),
        (
            lambda: table().vector_index("i", vector_field="d", dimensions=1),
            "2 to 4096",
        ),
        (
            lambda: table().vector_index("i", vector_field="d", dimensions=4097),
            "2 to 4096",
        ),
        (
            lambda: (
                table()
                .vector_index("i", vector_field="d", dimensions=8)
                .vector_index("j", vector_field="d", dimensions=8)
            ),
            "same field and dimensions",
        ),
        (lambda: define_table(v.string()), "documents are objects"),
        (
            lambda: define_table(v.union(v.object({}), v.null())),
            "documents are objects",
        ),
        (lambda: define_table(v.record(v.string(), v.any())), "documents are objects"),
        (lambda: define_schema({"_t": define_table({})}), "reserved table name"),
        (lambda: define_schema({"a b": define_table({})}), "cannot be a table's name"),
        (lambda: define_schema({"t": None}), "circular import"),
        (lambda: define_schema({"t": {"a": v.string()}}), "use define_table"),
    ],
)
def test_a_wrong_definition_is_refused_where_it_stands(define, words):
    with pytest.raises(SchemaViolation, match=words):
        define()


def test_fifteen_fields_are_an_index_sixteen_are_not():
    names = [f"f{i}" for i in range(16)]
    wide = define_table({name: v.any() for name in names})
    wide.index("fits", names[:15])
    with pytest.raises(SchemaViolation, match="16 fields, over the 15"):
        wide.index("wide", names)


def test_a_table_has_64_indexes_at_most():
    many = define_table({f"f{i}": v.any() for i in range(65)})
    for i in range(64):
        many.index(f"by_{i}", [f"f{i}"])
    with pytest.raises(SchemaViolation, match="one more than the 64"):
        many.index("by_64", ["f64"])


def test_a_table_has_four_text_and_four_vector_indexes():
    many = define_table({f"f{i}": v.any() for i in range(5)})
    for i in range(4):
        many.search_index(f"s{i}", search_field=f"f{i}")
        many.vector_index(f"v{i}", vector_field=f"f{i}", dimensions=2)
    with pytest.raises(SchemaViolation, match="4 search indexes"):
        many.search_index("s4", search_field="f4")
    with pytest.raises(SchemaViolation, match="4 vector indexes"):
        many.vector_index("v4", vector_field="f4", dimensions=2)


def test_sixteen_filter_fields_are_enough():
    names = [f"f{i}" for i in range(17)]
    wide = define_table({name: v.any() for name in names})
    with pytest.raises(SchemaViolation, match="17 filter fields, over the 16"):
        wide.search_index("s", search_field="f0", filter_fields=names)


def test_a_refused_index_leaves_the_table_as_it_was():
    many = define_table({f"f{i}": v.any() for i in range(5)})
    for i in range(4):
        many.search_index(f"s{i}", search_field=f"f{i}")
    with pytest.raises(SchemaViolation):
        many.search_index("s4", search_field="f4")
    assert len(many.search_indexes) == 4


@pytest.mark.parametrize(
    ("path", "possible"),
    [("a", True), ("a.b", True), ("o.x", True), ("o.y", False), ("r.any.z", True), ("r.k.y", False),
     ("u.x", True), ("u.z", True), ("u.q", False), ("s.x", False), ("n", False)],
)  # fmt: skip
def test_a_path_is_possible_where_some_document_has_it(path, possible):
    validator = v.object(
        {
            "a": v.any(),
            "o": v.object({"x": v.string()}),
            "r": v.record(v.string(), v.object({"z": v.any()})),
            "u": v.union(v.object({"x": v.any()}), v.object({"z": v.any()}), v.null()),
            "s": v.string(),
        }
    )
    assert may_hold(validator, path.split(".")) is possible


def test_table_names_are_identifiers():
    for name in ("tasks", "a_b", "T9"):
        check_table_name(name)
