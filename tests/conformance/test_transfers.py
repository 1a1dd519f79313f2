"""Point 56: everything out of a deployment, and back into one."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile

import aiohttp
import pytest
from tests.compat.cli import Cli
from tests.conformance.functions import MODULES
from tests.conformance.wire import wire
from tests.deployments import deployment

LINES = """
from convexlab import Int64, internal_query, mutation, query

VALUES = {"i": Int64(5), "f": 5.0, "b": bytes([0, 255]), "inf": float("-inf")}

@mutation
def add(ctx, tag: str):
    return ctx.db.insert("loose", {"tag": tag, "values": VALUES})

@mutation
def upload(ctx):
    return ctx.storage.generate_upload_url()

@mutation
def forget(ctx, file: str):
    ctx.storage.delete(file)

@query
def address(ctx, file: str):
    return ctx.storage.get_url(file)

@internal_query
def all_(ctx, table: str):
    return ctx.db.query(table).collect()
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A deployment whose data may be replaced."""
    folder = tmp_path_factory.mktemp("transfers") / "deployment"
    with deployment(folder, {**MODULES, "loose": LINES}) as one:
        yield one


@pytest.fixture
async def http(own):
    headers = {"Authorization": f"Convex {own.admin_key}"}
    async with aiohttp.ClientSession(own.url, headers=headers) as session:
        yield session


@pytest.fixture
async def owner(own):
    """A session of the owner's, which follows how exports and imports go."""
    async with wire(own.url) as client:
        client.authenticate(own.admin_key, tokenType="Admin")
        await client.confirmed()
        yield client


@pytest.fixture
def cli(tmp_path, own):
    return Cli(tmp_path / "project", own.url, own.admin_key)


def fill(own):
    for tag in "abc":
        own.mutation("loose:add", tag=tag)


def documents(own, table):
    body = {"path": "loose:all", "args": {"table": table}}
    body["format"] = "convex_encoded_json"
    return own.ask("POST", "/api/function", body).json()["value"]


async def exported(http, owner, **params):
    """Export everything; the ZIP's bytes."""
    async with http.post("/api/export/request/zip", params=params) as answer:
        assert answer.status == 200
    query = owner.follow("_system/cli/exports:getLatest")
    state = {}

    def is_over():
        state.update(owner.results.get(query) or {})
        return state.get("state") in ("completed", "failed")

    await owner.until(is_over)
    owner.unfollow(query)
    assert state["state"] == "completed", state
    async with http.get(f"/api/export/zip/{state['start_ts']}") as answer:
        assert answer.status == 200
        shown = answer.headers["Content-Disposition"]
        assert shown.startswith("attachment; filename=snapshot_")
        content = await answer.read()
        assert len(content) == int(answer.headers["Content-Length"])
    async with http.get(f"/api/export/zip/{state['_id']}") as answer:
        assert await answer.read() == content
    return content


async def uploaded(http, content, *, size=1 << 20, **wanted):
    """Upload a file to be imported; the import's id."""
    async with http.post("/api/import/start_upload") as answer:
        token = (await answer.json())["uploadToken"]
    parts = []
    for number, start in enumerate(range(0, max(len(content), 1), size), 1):
        params = {"uploadToken": token, "partNumber": number}
        part = content[start : start + size]
        async with http.post(
            "/api/import/upload_part", params=params, data=part
        ) as answer:
            assert answer.status == 200, await answer.text()
            parts.append(await answer.json())
    body = {"import": wanted, "uploadToken": token, "partTokens": parts}
    async with http.post("/api/import/finish_upload", json=body) as answer:
        assert answer.status == 200, await answer.text()
        return (await answer.json())["importId"]


async def told(owner, import_id, *states):
    """What is told of an import once it is in one of these states."""
    query = owner.follow("_system/cli/queryImport", {"importId": import_id})
    await owner.until(
        lambda: owner.results.get(query, {}).get("state", {}).get("state") in states
    )
    state = owner.results[query]["state"]
    owner.unfollow(query)
    await owner.confirmed()
    return state


async def imported(http, owner, content, **wanted):
    """Import a file to its end; what is told of that."""
    import_id = await uploaded(http, content, **wanted)
    over = ("completed", "failed")
    state = await told(owner, import_id, "waiting_for_confirmation", *over)
    if state["state"] == "waiting_for_confirmation":
        body = {"importId": import_id}
        async with http.post("/api/perform_import", json=body) as answer:
            assert answer.status == 200, await answer.text()
        state = await told(owner, import_id, *over)
    return state


# -- the official command line -----------------------------------------------------


@pytest.mark.node
async def test_point_56_an_export_is_restored_as_it_was(cli, own, tmp_path):
    await asyncio.to_thread(fill, own)
    before = await asyncio.to_thread(documents, own, "loose")
    path = tmp_path / "backup.zip"
    await cli.out("export", "--path", str(path))
    await asyncio.to_thread(own.mutation, "loose:add", tag="later")
    await asyncio.to_thread(own.mutation, "points:inc", name="later")
    said = await cli("import", "--replace-all", "-y", str(path))
    assert said.status == 0, said.err
    assert "documents" in said.err
    assert await asyncio.to_thread(documents, own, "loose") == before
    assert await asyncio.to_thread(documents, own, "points") == []
    await asyncio.to_thread(own.mutation, "loose:add", tag="after")
    after = await asyncio.to_thread(documents, own, "loose")
    assert after[:-1] == before
    assert after[-1]["_id"][:3] == before[0]["_id"][:3], "ids go on as they were"


ROWS = [("one", 1), ("two", 2)]


@pytest.mark.node
async def test_point_56_a_table_that_is_there_is_added_to_when_said(cli, own, tmp_path):
    (tmp_path / "a.csv").write_text("text,n\none,1\ntwo,2\n")
    command = ("--table", "a_csv", str(tmp_path / "a.csv"))
    await cli.out("import", *command)
    again = await cli("import", *command)
    assert again.status == 1
    assert "Table a_csv already exists" in again.err
    await cli.out("import", "--append", *command)
    found = await asyncio.to_thread(documents, own, "a_csv")
    assert [(one["text"], one["n"]) for one in found] == ROWS * 2


@pytest.mark.node
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text":"one","n":1}\n{"text":"two","n":2}\n'),
        ("a.json", '[{"text":"one","n":1},{"text":"two","n":2}]'),
    ],
)
async def test_point_56_a_file_becomes_a_table(cli, own, tmp_path, name, content):
    table = name.replace(".", "_")
    (tmp_path / name).write_text(content)
    await cli.out("import", "--table", table, str(tmp_path / name))
    found = await asyncio.to_thread(documents, own, table)
    assert [(one["text"], one["n"]) for one in found] == ROWS


async def test_point_56_there_is_one_export_at_a_time(http, owner):
    """The official command line knows the code, and says so."""
    for status in (200, 400):
        async with http.post("/api/export/request/zip") as answer:
            assert answer.status == status
            if status == 400:
                assert (await answer.json())["code"] == "ExportInProgress"
    query = owner.follow("_system/cli/exports:getLatest")
    await owner.until(
        lambda: (owner.results.get(query) or {}).get("state") == "completed"
    )


# -- over HTTP ----------------------------------------------------------------------


async def test_an_export_is_live_data_of_one_moment(http, owner, own):
    await asyncio.to_thread(fill, own)
    content = await exported(http, owner)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        lines = archive.read("loose/documents.jsonl").splitlines()
        assert '"i":5,"f":5.0' in lines[0].decode()
        assert "_storage/documents.jsonl" not in archive.namelist()


async def test_files_go_out_and_come_back(http, owner, own):
    """Under the ids that they had."""
    content = b"hello"
    async with http.post(own.mutation("loose:upload"), data=content) as answer:
        file_id = (await answer.json())["storageId"]
    backup = await exported(http, owner, includeStorage="true")
    with zipfile.ZipFile(io.BytesIO(backup)) as archive:
        assert archive.read(f"_storage/{file_id}.bin") == content
    await asyncio.to_thread(own.mutation, "loose:forget", file=file_id)
    state = await imported(http, owner, backup, format="zip", mode="replaceAll")
    assert state["state"] == "completed", state
    async with http.get(own.query("loose:address", file=file_id)) as answer:
        assert await answer.read() == content


async def test_who_imports_is_asked_before_anything_goes(http, owner, own):
    await asyncio.to_thread(fill, own)
    wanted = {"format": "jsonLines", "tableName": "loose", "mode": "replace"}
    import_id = await uploaded(http, b'{"tag":"new"}\n', size=5, **wanted)
    state = await told(owner, import_id, "waiting_for_confirmation", "failed")
    assert state["require_manual_confirmation"] is True
    assert "loose | 1" in state["message_to_confirm"]
    async with http.post("/api/cancel_import", json={"importId": import_id}) as answer:
        assert answer.status == 200
    state = await told(owner, import_id, "failed")
    assert state["error_message"] == "Import canceled"
    async with http.post("/api/perform_import", json={"importId": import_id}) as answer:
        assert answer.status == 404
    assert len(await asyncio.to_thread(documents, own, "loose")) >= 3


async def test_a_followed_query_sees_an_import_at_once_and_whole(http, owner, own):
    rows = [{"name": "bulk", "text": f"{n}"} for n in range(2500)]
    content = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    async with wire(own.url) as page:
        query = page.follow("points:lines", {"name": "bulk"})
        await page.confirmed()
        wanted = {"format": "jsonLines", "tableName": "lines", "mode": "replace"}
        state = await imported(http, owner, content, **wanted)
        assert state["state"] == "completed"
        assert state["num_rows_written"] == 2500
        await page.until(lambda: page.results[query])
        sizes = [len(value) for told, value in page.updates if told == query]
        assert sizes == [0, 2500]


@pytest.mark.parametrize(
    ("content", "wanted", "why"),
    [
        (b"{", {"format": "jsonLines", "tableName": "t"}, "t, row 1"),
        (b"no zip", {"format": "zip"}, "no ZIP"),
        (b"", {"format": "xml", "tableName": "t"}, "none of csv"),
        (b"a\n1\n", {"format": "csv"}, "which one"),
        (
            b'{"name": 5, "n": "x"}',
            {"format": "jsonLines", "tableName": "points", "mode": "append"},
            "points, row 1",
        ),
        (b"{}\n", {"format": "jsonLines", "tableName": "_tables"}, "_tables"),
    ],
)
async def test_an_import_that_cannot_be_says_why(http, owner, content, wanted, why):
    state = await imported(http, owner, content, **wanted)
    assert state["state"] == "failed"
    assert why in state["error_message"]


async def test_nothing_stays_of_what_could_not_be_appended_whole(http, owner, own):
    """A row that the schema refuses is found before any is there; else all are taken back."""
    wanted = {"format": "jsonLines", "tableName": "points", "mode": "append"}
    before = documents(own, "points")
    rows = [{"name": "many", "n": float(n)} for n in range(2_500)]
    rows[2_399] = {"name": 5, "n": 1.0}
    state = await imported(http, owner, lines_of(rows), **wanted)
    assert "points, row 2400: " in state["error_message"]
    assert documents(own, "points") == before
    fill(own)
    there = documents(own, "loose")
    rows = [{"tag": f"{n}"} for n in range(2_500)]
    rows[2_399]["_id"] = there[0]["_id"]
    wanted["tableName"] = "loose"
    state = await imported(http, owner, lines_of(rows), **wanted)
    assert state["error_message"].startswith("loose, row 2400: ")
    assert documents(own, "loose") == there


async def test_nothing_stays_of_an_append_that_is_cut_off(http, owner, own):
    """By who gives it up, and by the server's death, after which it begins again."""
    there = documents(own, "loose")
    wanted = {"format": "jsonLines", "tableName": "loose", "mode": "append"}
    content = lines_of([{"tag": f"{n}"} for n in range(20_000)])
    size = owner.follow("_system/cli/tableSize:default", {"tableName": "loose"})
    for cut_off in ("cancel", "kill"):
        import_id = await uploaded(http, content, **wanted)
        await told(owner, import_id, "waiting_for_confirmation")
        which = {"importId": import_id}
        async with http.post("/api/perform_import", json=which) as answer:
            assert answer.status == 200
        await owner.until(lambda: owner.results[size] > len(there))
        if cut_off == "kill":
            await asyncio.to_thread(own.kill)
            await asyncio.to_thread(own.start)
            break
        async with http.post("/api/cancel_import", json=which) as answer:
            assert answer.status == 200
        state = await told(owner, import_id, "failed")
        assert state["error_message"] == "Import canceled"
        assert documents(own, "loose") == there
    async with wire(own.url) as client:
        client.authenticate(own.admin_key, tokenType="Admin")
        state = await told(client, import_id, "failed")
    assert state["error_message"] == "The deployment ended meanwhile."
    assert documents(own, "loose") == there


def lines_of(rows):
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/import/finish_upload", {"import": {"format": "csv"}}, 404),
        ("/api/import/finish_upload", {}, 400),
        ("/api/import/upload_part?uploadToken=../../x&partNumber=1", {}, 404),
        ("/api/perform_import", {"importId": "nothing"}, 404),
        ("/api/cancel_import", {}, 400),
        ("/api/export/cancel/nothing", {}, 404),
        ("/api/export/set_expiration/nothing", {"expirationTsNs": 5}, 400),
    ],
)
async def test_requests_that_cannot_be_meant_have_a_code(http, path, body, status):
    async with http.post(path, json=body) as answer:
        assert answer.status == status, await answer.text()
        assert (await answer.json()).keys() == {"code", "message"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/export/request/zip"),
        ("GET", "/api/export/zip/5"),
        ("POST", "/api/import/start_upload"),
        ("POST", "/api/perform_import"),
        ("GET", "/api/v1/get_canonical_urls"),
    ],
)
async def test_all_of_it_is_the_owners(own, method, path):
    async with (
        aiohttp.ClientSession(own.url) as anybody,
        anybody.request(method, path) as answer,
    ):
        assert answer.status == 403


async def test_a_file_whose_time_is_over_is_gone(http, owner):
    await exported(http, owner)
    latest = await owner.ask("_system/cli/exports:getLatest")
    path = f"/api/export/set_expiration/{latest['_id']}"
    async with http.post(path, json={"expirationTsNs": 1}) as answer:
        assert answer.status == 200
    async with http.get(f"/api/export/zip/{latest['start_ts']}") as answer:
        assert answer.status == 404


async def test_the_owner_says_where_the_deployment_is_reached(http, own, owner):
    path = "/api/v1/get_canonical_urls"
    async with http.get(path) as answer:
        assert (await answer.json())["convexCloudUrl"] == own.url
    change = {"requestDestination": "convexCloud", "url": "https://data.example/"}
    async with http.post("/api/v1/update_canonical_url", json=change) as answer:
        assert answer.status == 200
    async with http.get(path) as answer:
        assert (await answer.json())["convexCloudUrl"] == "https://data.example"
    assert await owner.ask("_system/cli/convexUrl:cloudUrl") == "https://data.example"
    for url, status in (("nowhere", 400), (None, 200)):
        change["url"] = url
        async with http.post("/api/v1/update_canonical_url", json=change) as answer:
            assert answer.status == status
