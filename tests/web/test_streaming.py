"""Other databases follow a deployment, and its owner sees what it holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.deployments import deployment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployments import Deployment

MODULES = {
    "schema": """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "users": define_table({"name": v.string(), "age": v.optional(v.int64())}),
    "later": define_table(v.union(
        v.object({"kind": v.literal("a")}), v.object({"kind": v.literal("b")}),
    )),
}, strict_table_name_types=False)
""",
    "users": """
from convexlab import Id, Int64, mutation, query

@mutation
def add(ctx, name: str) -> Id.users:
    "Add a user."
    return ctx.db.insert("users", {"name": name, "age": Int64(7)})

@mutation
def note(ctx, by: Id.users, text: str | None = None):
    ctx.db.insert("notes", {"by": by, "text": text, "size": 1.5})

@mutation
def remove(ctx, id: Id.users):
    ctx.db.delete(id)

@query
def get(ctx, id: Id.users) -> dict[str, float | str] | None:
    return None
""",
    "admin/clean": """
from convexlab import internal_mutation, mutation

@internal_mutation
def secret(ctx): ...

@mutation
def up(ctx) -> None: ...
""",
}
READING = [
    "/api/list_snapshot",
    "/api/document_deltas?cursor=0",
    "/api/json_schemas",
    "/api/get_table_column_names",
    "/api/shapes2",
    "/api/test_streaming_export_connection",
    "/api/v1/openapi.json",
    "/api/public_openapi.json",
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment with three users and a note."""
    folder = tmp_path_factory.mktemp("streaming") / "deployment"
    with deployment(folder, MODULES) as one:
        ids = [one.mutation("users:add", name=name) for name in ("Ann", "Bob", "Eve")]
        one.mutation("users:note", by=ids[0])
        yield one


def get(running: Deployment, path: str, **params: Any) -> Any:
    answer = running.ask("GET", path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(running: Deployment, path: str, **body: Any) -> Any:
    answer = running.ask("POST", path, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", READING)
def test_all_of_it_is_the_owners(running, path):
    for key in ("", "convexlab|wrong"):
        answer = running.ask("GET", path, key=key)
        assert (answer.status_code, answer.json()["code"]) == (403, "BadDeployKey")


def test_a_stream_begins_with_a_snapshot_and_goes_on_with_changes(running):
    page = get(running, "/api/list_snapshot", tableName="users", format="export_json")
    assert (page["hasMore"], page["cursor"]) == (False, None)
    names = {value["name"]: value for value in page["values"]}
    assert sorted(names) == ["Ann", "Bob", "Eve"]
    ann = names["Ann"]
    assert (ann["_component"], ann["_table"], ann["age"]) == ("", "users", 7)
    assert ann["_ts"] <= page["snapshot"]
    added = running.mutation("users:add", name="Joe")
    running.mutation("users:remove", id=added)
    changes = post(running, "/api/document_deltas", cursor=page["snapshot"])
    assert [(value["_id"], value["_deleted"]) for value in changes["values"]] == [
        (added, False),
        (added, True),
    ]
    assert changes["values"][0]["age"] == "7", "the format is `json` unless it is said"
    assert changes["values"][1].keys() == {
        *("_component", "_table", "_ts", "_id", "_deleted")
    }
    again = get(running, "/api/document_deltas", cursor=str(changes["cursor"]))
    assert (again["values"], again["hasMore"]) == ([], False)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_fields_are_chosen_in_the_body_or_the_query_string(running, method):
    chosen: Any = {"": {"users": {"name": "included"}}}
    if method == "GET":
        page = get(running, "/api/list_snapshot", selection=json.dumps(chosen))
    else:
        page = post(running, "/api/list_snapshot", selection=chosen)
    assert {tuple(sorted(value)) for value in page["values"]} == {
        ("_component", "_id", "_table", "_ts", "name")
    }


@pytest.mark.parametrize(
    ("path", "params", "code", "why"),
    [
        ("document_deltas", {}, "DocumentDeltasCursorRequired", "takes a `cursor`"),
        ("document_deltas", {"cursor": "x"}, "ArgumentValidationError", "cursor"),
        ("list_snapshot", {"cursor": "x"}, "ArgumentValidationError", "InvalidCursor"),
        ("list_snapshot", {"format": "xml"}, "ArgumentValidationError", "none of json"),
        ("list_snapshot", {"selection": "{"}, "ArgumentValidationError", "no JSON"),
        (
            "list_snapshot",
            {"component": "mail"},
            "ArgumentValidationError",
            "no component",
        ),
        ("json_schemas", {"format": "xml"}, "ArgumentValidationError", "none of json"),
    ],
)
def test_what_cannot_be_meant_is_said(running, path, params, code, why):
    answer = running.ask("GET", f"/api/{path}", params=params)
    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert why in answer.json()["message"]


def test_a_moment_that_has_not_come_yet_is_said(running):
    snapshot = get(running, "/api/list_snapshot")["snapshot"] + 10**15
    for path, name in (("list_snapshot", "snapshot"), ("document_deltas", "cursor")):
        answer = running.ask("GET", f"/api/{path}", params={name: snapshot})
        assert answer.status_code != 200
        assert "not reached yet" in answer.json()["message"]


def test_the_process_that_reads_is_replaced_when_it_dies(running):
    get(running, "/api/shapes2")
    module = "convexlab.functions.processes.carrier"
    (carrier,) = [each for each in running.family() if module in each.cmdline()]
    carrier.kill()
    answer = running.ask("GET", "/api/shapes2")
    if answer.status_code != 200:  # it was not yet known to be gone
        assert answer.json()["code"] == "ProcessDied"
        answer = running.ask("GET", "/api/shapes2")
    assert answer.status_code == 200


def test_shapes_and_columns_are_what_the_documents_have(running):
    shapes = get(running, "/api/shapes2")
    assert shapes["later"] == {"type": "Never"}
    fields = {field["fieldName"]: field["shape"] for field in shapes["notes"]["fields"]}
    assert fields["by"] == {"type": "Id", "tableName": "users"}
    assert fields["text"] == {"type": "Null"}
    tables = get(running, "/api/get_table_column_names")["byComponent"][""]
    assert {table["name"]: table["columns"] for table in tables} == {
        "later": ["_creationTime", "_id"],
        "notes": ["_creationTime", "_id", "by", "size", "text"],
        "users": ["_creationTime", "_id", "age", "name"],
    }


def test_json_schemas_are_the_schemas_or_the_documents(running):
    schemas = get(running, "/api/json_schemas")
    users, notes = schemas["users"], schemas["notes"]
    assert users["properties"]["age"] == {"type": "string"}
    assert users["required"] == ["_id", "_creationTime", "name"]
    assert notes["properties"]["size"] == {"type": "number"}
    assert [len(each["properties"]) for each in schemas["later"]["anyOf"]] == [3, 3]
    asked = {"deltaSchema": "true", "byComponent": "true", "format": "export_json"}
    users = get(running, "/api/json_schemas", **asked)[""]["users"]
    assert users["properties"]["age"] == {"type": "integer"}
    assert users["properties"]["_deleted"] == {"type": "boolean"}


def test_the_connection_is_tested(running):
    assert get(running, "/api/test_streaming_export_connection") is None


def test_public_functions_are_an_openapi_document(running):
    """What it says may be asked is what is answered."""
    said = get(running, "/api/v1/openapi.json")
    assert said == get(running, "/api/public_openapi.json")
    assert said["servers"] == [{"url": running.url}]
    assert set(said["paths"]) == {
        "/api/run/users/add",
        "/api/run/users/note",
        "/api/run/users/remove",
        "/api/run/users/get",
        "/api/run/admin/clean/up",
    }
    add = said["paths"]["/api/run/users/add"]["post"]
    assert add["description"] == "Add a user."
    body = add["requestBody"]["content"]["application/json"]["schema"]
    assert body["properties"]["args"]["required"] == ["name"]
    answer = running.ask(
        "POST", "/api/run/users/get", {"args": {"id": "x" * 32}}, key=""
    )
    assert answer.json()["status"] == "error"
    answer = running.ask("POST", "/api/run/admin/clean/up", {"args": {}}, key="")
    assert answer.json() == {"status": "success", "value": None}


ROWS = [
    ("jsonLines", b'{"a": 1}\n{"a": 2}\n'),
    ("jsonArray", b'[{"a": 1},\n {"a": 2}]'),
    ("csv", b"a\n1\n2\n"),
]


@pytest.mark.parametrize(("form", "body"), ROWS)
def test_a_file_is_imported_in_one_request(running, form, body):
    def send(mode: str) -> Any:
        params = {"tableName": f"t{form}", "format": form, "mode": mode}
        return running.ask("POST", "/api/import", params=params, content=body)

    assert send("requireEmpty").json() == {"numWritten": 2}
    assert send("requireEmpty").status_code == 400
    assert send("append").json() == {"numWritten": 2}
    page = get(running, "/api/list_snapshot", tableName=f"t{form}")
    assert sorted(value["a"] for value in page["values"]) == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("params", "body", "why"),
    [
        ({"format": "csv"}, b"a\n1\n", "`tableName` is missing"),
        ({"format": "csv", "tableName": "x"}, b"a,b\n1\n", "x, line 2: 1 cells"),
        ({"format": "jsonArray", "tableName": "x"}, b"{}", "not a JSON array"),
        ({"format": "zip", "tableName": "x"}, b"", "start_upload"),
        ({"tableName": "x", "componentPath": "c"}, b"", "no components"),
    ],
)
def test_a_file_that_cannot_be_imported_says_why(running, params, body, why):
    answer = running.ask("POST", "/api/import", params=params, content=body)
    assert answer.status_code == 400
    assert why in answer.json()["message"]
