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
    ("define", "kind", "words"),
    [
        (lambda: table().index("i", []), "EmptyIndex", "has no fields"),
        (
            lambda: table().index("i", "a"),
            "InvalidIndexField",
            r'list of fields: \["a"\]',
        ),
        (lambda: table().index("i", ["_id"]), "IndexFieldsContainId", "leave it out"),
        (
            lambda: table().index("i", ["a", "_creationTime"]),
            "IndexFieldNameReserved",
            "leave it out",
        ),
        (lambda: table().index("i", ["b._x"]), "IndexFieldNameReserved", "reserved"),
        (
            lambda: table().index("i", ["a", "a"]),
            "FieldsNotUniqueWithinIndex",
            "names a field twice",
        ),
        (lambda: table().index("i", ["a b"]), "InvalidIndexField", "no field path"),
        (lambda: table().index("i", ["a."]), "InvalidIndexField", "no field path"),
        (
            lambda: table().index("_i", ["a"]),
            "IndexNameReserved",
            "reserved index name",
        ),
        (
            lambda: table().index("by_id", ["a"]),
            "IndexNameReserved",
            "reserved index name",
        ),
        (
            lambda: table().index("by_creation_time", ["a"]),
            "IndexNameReserved",
            "reserved index name",
        ),
        (lambda: table().index("i j", ["a"]), "InvalidIndexName", "an index's name"),
        (lambda: table().index("x" * 65, ["a"]), "InvalidIndexName", "an index's name"),
        (
            lambda: table().index("i", ["a"]).index("i", ["d"]),
            "IndexNamesNotUnique",
            "two indexes called `i`",
        ),
        (
            lambda: table().index("i", ["a"]).index("j", ["a"]),
            "IndexNotUnique",
            "`i` and `j` have the same fields",
        ),
        (
            lambda: table().index("i", ["a"]).search_index("i", search_field="a"),
            "IndexNamesNotUnique",
            "two indexes",
        ),
        (
            lambda: (
                table()
                .search_index("i", search_field="a")
                .search_index("j", search_field="a")
            ),
            "SearchIndexFieldNotUnique",
            "`i` and `j` have the same fields",
        ),
        (
            lambda: table().search_index(
                "i", search_field="a", filter_fields=["d", "d"]
            ),
            "FieldsNotUniqueWithinIndex",
            "names a field twice",
        ),
        (
            lambda: table().vector_index("i", vector_field="d", dimensions=1),
            "InvalidVectorIndexDimensions",
            "2 to 4096",
        ),
        (
            lambda: table().vector_index("i", vector_field="d", dimensions=4097),
            "InvalidVectorIndexDimensions",
            "2 to 4096",
        ),
        (
            lambda: (
                table()
                .vector_index("i", vector_field="d", dimensions=8)
                .vector_index("j", vector_field="d", dimensions=8)
            ),
            "VectorIndexFieldNotUnique",
            "same field and dimensions",
        ),
        (
            lambda: define_schema({"t": table().index("i", ["x"])}),
            "SchemaDefinitionError",
            "`i` of `t` names the field `x`, which no document of the table can have",
        ),
        (
            lambda: define_schema({"t": table().index("i", ["a.x"])}),
            "SchemaDefinitionError",
            "no document of the table can have",
        ),
        (
            lambda: define_schema({"t": table().search_index("i", search_field="x")}),
            "SchemaDefinitionError",
            "no document of the table can have",
        ),
        (
            lambda: define_schema(
                {"t": table().search_index("i", search_field="a", filter_fields=["x"])}
            ),
            "SchemaDefinitionError",
            "no document of the table can have",
        ),
        (
            lambda: define_schema(
                {"t": table().vector_index("i", vector_field="x", dimensions=2)}
            ),
            "SchemaDefinitionError",
            "no document of the table can have",
        ),
        (
            lambda: define_schema({"t": define_table({"e": v.embedding("x")})}),
            "SchemaDefinitionError",
            "`e` of `t` is the embedding of `x`, which is no text",
        ),
        (
            lambda: define_schema({"t": define_table({"e": v.embedding("e")})}),
            "SchemaDefinitionError",
            "`e` of `t` is the embedding of `e`, which is no text",
        ),
        (
            lambda: define_schema(
                {
                    "t": define_table(
                        {"s": v.string(), "o": v.object({"e": v.embedding("s")})}
                    )
                }
            ),
            "SchemaDefinitionError",
            "`o.e` of `t` is an embedding inside of another field",
        ),
        (
            lambda: define_table(v.string()),
            "InvalidTopLevelTypeInSchemaError",
            "documents are objects",
        ),
        (
            lambda: define_table(v.union(v.object({}), v.null())),
            "InvalidTopLevelTypeInSchemaError",
            "documents are objects",
        ),
        (
            lambda: define_table(v.record(v.string(), v.any())),
            "InvalidTopLevelTypeInSchemaError",
            "documents are objects",
        ),
        (
            lambda: define_schema({"_t": define_table({})}),
            "TableNameReserved",
            "reserved table name",
        ),
        (
            lambda: define_schema({"a b": define_table({})}),
            "InvalidTableName",
            "cannot be a table's name",
        ),
        (
            lambda: define_schema({"t" * 65: define_table({})}),
            "InvalidTableName",
            "at most 64 characters",
        ),
        (
            lambda: define_schema({"t": None}),
            "SchemaDefinitionError",
            "circular import",
        ),
        (
            lambda: define_schema({"t": {"a": v.string()}}),
            "SchemaDefinitionError",
            "use define_table",
        ),
    ],
)
def test_a_wrong_definition_is_refused_where_it_stands(define, kind, words):
    with pytest.raises(SchemaViolation, match=words) as caught:
        define()
    assert caught.value.kind == kind


def test_where_documents_are_not_checked_an_index_may_name_any_field():
    schema = define_schema({"t": table().index("i", ["x"])}, schema_validation=False)
    assert Schema.from_json(schema.to_json()).tables["t"].indexes[0].fields == ("x",)


def test_ten_thousand_tables_are_a_schema_one_more_is_not():
    one = define_table({})
    tables = {f"t{i}": one for i in range(10_000)}
    assert len(define_schema(tables).tables) == 10_000
    with pytest.raises(SchemaViolation, match="10001 tables") as caught:
        define_schema({**tables, "more": one})
    assert caught.value.kind == "TooManyTables"


def test_fifteen_fields_are_an_index_sixteen_are_not():
    names = [f"f{i}" for i in range(16)]
    wide = define_table({name: v.any() for name in names})
    wide.index("fits", names[:15])
    with pytest.raises(SchemaViolation, match="16 fields, over the 15") as caught:
        wide.index("wide", names)
    assert caught.value.kind == "IndexTooManyFields"


def test_a_table_has_64_indexes_at_most():
    many = define_table({f"f{i}": v.any() for i in range(65)})
    for i in range(64):
        many.index(f"by_{i}", [f"f{i}"])
    with pytest.raises(SchemaViolation, match="one more than the 64") as caught:
        many.index("by_64", ["f64"])
    assert caught.value.kind == "TooManyIndexes"


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
    wide.search_index("fits", search_field="f0", filter_fields=names[:16])
    with pytest.raises(
        SchemaViolation, match="17 filter fields, over the 16"
    ) as caught:
        wide.search_index("s", search_field="f0", filter_fields=names)
    assert caught.value.kind == "IndexTooManyFilterFields"


def test_a_refused_index_leaves_the_table_as_it_was():
    many = define_table({f"f{i}": v.any() for i in range(5)})
    for i in range(4):
        many.search_index(f"s{i}", search_field=f"f{i}")
    with pytest.raises(SchemaViolation):
        many.search_index("s4", search_field="f4")
    assert len(many.search_indexes) == 4


def test_table_names_are_identifiers():
    for name in ("tasks", "a_b", "T9"):
        check_table_name(name)
