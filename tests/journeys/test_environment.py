"""A secret's life: set, read by every kind of action, changed, kept sealed, lost.

What is set is in force for the next run on every runner, after restarts too; and but
for runs and the owner nobody meets its text, in no file and no output.
"""

from __future__ import annotations

import json
import zipfile
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from tests.deployments import PATIENCE_SECONDS, deployment, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.deployments import Deployment

MODULES = {
    "m": """
import asyncio, os, subprocess
from convexlab import action, internal_action, internal, mutation, query

@action
async def read(ctx, name: str):
    return os.environ.get(name)

@action
def plain(ctx, name: str):
    return os.environ.get(name)

@action
async def exact(ctx, name: str):
    return os.environ[name]

@action
def c_level(ctx, name: str):
    return subprocess.run(["/bin/sh", "-c", f"echo ${name}"], env=None, capture_output=True, text=True).stdout.strip()

@action
async def own(ctx, text: str):
    os.environ["OWN"] = text
    await asyncio.sleep(0.01)
    return os.environ["OWN"]

@action
async def prints(ctx, name: str):
    print("has", name in os.environ)

@query
def in_query(ctx):
    return os.environ["KEY"]

@mutation
def later(ctx, name: str):
    ctx.scheduler.run_after(0, internal.m.note, name=name)

@internal_action
async def note(ctx, name: str):
    await ctx.run_mutation(internal.m.noted, seen=name in os.environ)

@mutation
def noted(ctx, seen: bool):
    ctx.db.insert("notes", {"seen": seen})

@query
def notes(ctx):
    return [note["seen"] for note in ctx.db.query("notes")]
""",
    "http": """
import os
from convexlab import Response, http_router
http = http_router()

@http.route("/async", method="GET")
async def one(ctx, request):
    return Response(os.environ.get("KEY", "none"))

@http.route("/plain", method="GET")
def other(ctx, request):
    return Response(os.environ.get("KEY", "none"))
""",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environment")


@pytest.fixture(scope="module")
def running(home: Path) -> Iterator[Deployment]:
    with deployment(home / "deployment", MODULES) as one:
        yield one


def update(running: Deployment, **values: str | None) -> httpx.Response:
    changes = [{"name": name, "value": value} for name, value in values.items()]
    body = {"changes": changes}
    return running.ask("POST", "/api/update_environment_variables", body)


def put(running: Deployment, **values: str | None) -> None:
    said = update(running, **values)
    assert (said.status_code, said.content) == (200, b""), said.text


def listed(running: Deployment) -> dict[str, str]:
    said = running.ask("GET", "/api/list_environment_variables")
    assert said.status_code == 200, said.text
    return dict(said.json()["environmentVariables"])


def ask_system(running: Deployment, path: str, **args: Any) -> dict[str, Any]:
    body = {"path": path, "args": args, "format": "json"}
    return dict(running.ask("POST", "/api/query", body).json())


def of_site(running: Deployment, path: str) -> str:
    return running.ask("GET", f"/http{path}", key="").text


def test_every_kind_of_run_sees_what_is_set_at_once(running: Deployment) -> None:
    for turn in range(3):
        value = f"value {turn}"
        put(running, KEY=value)
        with ThreadPoolExecutor(4) as many:
            plain = many.map(lambda _: running.action("m:plain", name="KEY"), range(4))
            assert running.action("m:read", name="KEY") == value
            assert of_site(running, "/async") == of_site(running, "/plain") == value
            assert list(plain) == [value] * 4
    put(running, KEY=None)
    assert running.action("m:read", name="KEY") is None
    assert of_site(running, "/plain") == "none"
    said = running.call("action", "m:exact", name="KEY")
    assert "KeyError: 'KEY'" in said["errorMessage"]


def test_the_deployments_addresses_are_there(running: Deployment) -> None:
    assert running.action("m:read", name="CONVEX_CLOUD_URL") == running.url
    site = running.action("m:plain", name="CONVEX_SITE_URL")
    assert httpx.get(f"{site}/async", timeout=PATIENCE_SECONDS).text == "none"
    moved = {"requestDestination": "convexSite", "url": "https://site.example"}
    running.ask("POST", "/api/v1/update_canonical_url", moved).raise_for_status()
    found = running.action("m:read", name="CONVEX_SITE_URL")
    assert found == "https://site.example"
    moved = {"requestDestination": "convexSite"}
    running.ask("POST", "/api/v1/update_canonical_url", moved).raise_for_status()
    assert running.action("m:plain", name="CONVEX_SITE_URL") == site


def test_the_machines_own_is_hidden_from_actions_and_what_they_start(
    home: Path, running: Deployment
) -> None:
    """Every variable of this process, which started the deployment, is the machine's."""
    assert running.action("m:read", name="XDG_CONFIG_HOME") == str(home / "config")
    for name in ("PYTEST_CURRENT_TEST", "PWD"):
        assert running.action("m:plain", name=name) is None
    put(running, HANDED_ON="down")
    assert running.action("m:c_level", name="HANDED_ON") == "down"
    assert running.action("m:c_level", name="PYTEST_CURRENT_TEST") == ""
    put(running, HANDED_ON=None)


def test_runs_that_share_a_runner_share_no_environment(running: Deployment) -> None:
    texts = [f"run {n}" for n in range(8)]
    with ThreadPoolExecutor(8) as many:
        seen = many.map(lambda text: running.action("m:own", text=text), texts)
        assert list(seen) == texts
    assert running.action("m:read", name="OWN") is None


def test_scheduled_actions_see_it_too(running: Deployment) -> None:
    put(running, LATER="x")
    running.mutation("m:later", name="LATER")
    until(lambda: running.query("m:notes") == [True])
    put(running, LATER=None)


def test_queries_do_not(running: Deployment) -> None:
    said = running.call("query", "m:in_query")
    assert "only actions may read the environment" in said["errorMessage"]


def test_changes_are_made_together_or_not_at_all(running: Deployment) -> None:
    put(running, A="1", B="2")
    said = update(running, A="changed", CONVEX_SITE_URL="x")
    assert (said.status_code, said.json()["code"]) == (400, "EnvVarNameForbidden")
    for body, code in (
        ({"changes": [{"name": "9X", "value": ""}]}, "EnvironmentVariableNameInvalid"),
        (
            {"changes": [{"name": "A", "value": "x" * 8193}]},
            "EnvironmentVariableValueTooLarge",
        ),
        ({"changes": [{"name": "A"}, {"name": "A"}]}, "EnvVarNameNotUnique"),
        ({"changes": [{"name": 1}]}, "ArgumentValidationError"),
        (
            {"changes": [{"name": f"V{n}", "value": "x" * 8192} for n in range(65)]},
            "EnvVarTotalSizeLimitMet",
        ),
        (
            {"changes": [{"name": f"N{n}", "value": ""} for n in range(1000)]},
            "EnvVarLimitMet",
        ),
    ):
        said = running.ask("POST", "/api/v1/update_environment_variables", body)
        assert (said.status_code, said.json()["code"]) == (400, code)
    assert listed(running) == {"A": "1", "B": "2"}
    assert running.action("m:read", name="A") == "1"
    put(running, A=None, B=None)


def test_only_the_owner_lists_and_changes(running: Deployment) -> None:
    for key in ("", "other|key"):
        for api in ("/api", "/api/v1"):
            path = f"{api}/list_environment_variables"
            assert running.ask("GET", path, key=key).status_code in (401, 403)
            body = {"changes": [{"name": "KEY", "value": "x"}]}
            path = f"{api}/update_environment_variables"
            assert running.ask("POST", path, body, key=key).status_code in (401, 403)
    said = running.call("query", "_system/cli/queryEnvironmentVariables")
    assert "Could not find public function" in said["errorMessage"]
    assert listed(running) == {}


SECRET = "sk-a-very-secret-text-0123456789"
CHANGED = "sk-what-it-was-changed-to-987654321"


def test_its_text_is_in_no_file_and_no_output(home: Path, running: Deployment) -> None:
    put(running, SECRET=SECRET, OTHER="other")
    assert running.action("m:exact", name="SECRET") == SECRET
    assert running.action("m:plain", name="SECRET") == SECRET
    assert running.call("action", "m:prints", name="SECRET")["logLines"] == [
        "[LOG] 'has' True"
    ]
    put(running, SECRET=CHANGED)
    update(running, CONVEX_SITE_URL=SECRET)
    update(running, SECRET=SECRET, **{"9": SECRET})
    update(running, SECRET=SECRET + "\0")
    wanted = "_system/cli/queryEnvironmentVariables:get"
    assert ask_system(running, wanted, name="SECRET")["value"]["value"] == CHANGED
    assert running.call("query", "m:notes")["status"] == "success"
    status = running.ask("GET", "/api/convexlab/status").text
    zipped = exported(running)
    running.stop()
    at_rest = {
        file: file.read_bytes() for file in home.rglob("*") if file.is_file()
    } | zipped
    at_rest["status"] = status.encode()
    assert any(b"SQLite" in content[:16] for content in at_rest.values())
    for place, content in at_rest.items():
        for text in (SECRET, CHANGED):
            assert text.encode() not in content, place
            assert text.encode("utf-16-le") not in content, place
    assert not any("environment" in str(name) for name in zipped)
    running.start()
    assert listed(running) == {"OTHER": "other", "SECRET": CHANGED}
    assert running.action("m:plain", name="SECRET") == CHANGED


def exported(running: Deployment) -> dict[Any, bytes]:
    """What an export has, by name."""
    running.ask(
        "POST", "/api/export/request/zip?includeStorage=true"
    ).raise_for_status()
    latest = "_system/cli/exports:getLatest"
    until(lambda: ask_system(running, latest)["value"]["state"] == "completed")
    export = ask_system(running, latest)["value"]
    said = running.ask("GET", f"/api/export/zip/{export['_id']}")
    with zipfile.ZipFile(BytesIO(said.content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/convexlab/sql", {"sql": "select * from _environment_variables"}),
        (
            "POST",
            "/api/query",
            {
                "path": "_system/cli/tableData",
                "args": {
                    "table": "_environment_variables",
                    "paginationOpts": {"numItems": 1, "cursor": None},
                },
            },
        ),
        ("GET", "/api/convexlab/history?table=_environment_variables&id=x", None),
        ("POST", "/api/import?tableName=_environment_variables&mode=append", {}),
    ],
)
def test_the_table_is_not_there_for_anybody(
    running: Deployment, method: str, path: str, body: Any
) -> None:
    said = running.ask(method, path, body)
    refused = said.status_code >= 400 or said.json()["status"] == "error"
    assert refused, said.text


def test_a_lost_secret_is_said_by_name_and_mended_by_setting_again(
    home: Path, running: Deployment
) -> None:
    put(running, FIRST="1", SECOND="2")
    running.stop()
    kept = home / "config" / "convexlab" / "secret"
    kept.write_text("0" * 64)
    running.start()
    for function in ("m:exact", "m:plain"):
        said = running.call("action", function, name="FIRST")
        assert said["errorCode"] == "EnvVarUnreadable", said
        assert "`FIRST` was sealed with another secret" in said["errorMessage"]
    assert running.action("m:read", name="NO") is None, "others are as they were"
    said = running.ask("GET", "/api/list_environment_variables").json()
    assert said["code"] == "EnvVarUnreadable"
    assert "`FIRST`" in said["message"]
    assert "`SECOND`" in said["message"]
    said = ask_system(running, "_system/cli/queryEnvironmentVariables")
    assert said["errorCode"] == "EnvVarUnreadable"
    names = ask_system(running, "_system/cli/queryEnvironmentVariables:names")
    assert {"FIRST", "SECOND"} <= set(names["value"])
    put(running, **dict.fromkeys(names["value"]))
    put(running, FIRST="again")
    assert listed(running) == {"FIRST": "again"}
    assert running.action("m:plain", name="FIRST") == "again"


AUTH = """
import os
auth_config = {"providers": [{"domain": os.environ["ISSUER"], "applicationID": "a"}]}
"""


def test_auth_config_follows_the_variables_that_it_reads(running: Deployment) -> None:
    put(running, **dict.fromkeys(listed(running)))
    said = running.try_push({"auth_config": AUTH}, mode="merge")
    error = said["error"]
    assert (error["code"], error["path"], error["line"]) == (
        "PushFailed",
        "auth_config",
        3,
    )
    assert "the environment variable `ISSUER` is not set" in error["message"]
    put(running, ISSUER="one.example")
    running.push({"auth_config": AUTH}, mode="merge")
    assert believed(running) == ["https://one.example"]
    put(running, ISSUER="two.example")
    assert believed(running) == ["https://two.example"]
    for broken in (None, "no domain"):
        said = update(running, ISSUER=broken, BESIDE="x")
        assert (said.status_code, said.json()["code"]) == (400, "PushFailed")
    assert listed(running) == {"ISSUER": "two.example"}
    running.stop()
    running.start()
    assert believed(running) == ["https://two.example"]
    running.push({"n": "x = 1\n"}, mode="merge")
    assert believed(running) == ["https://two.example"]
    running.ask(
        "POST",
        "/api/convexlab/push",
        {"modules": [], "mode": "merge", "remove": ["auth_config"]},
    ).raise_for_status()
    put(running, ISSUER=None)


def believed(running: Deployment) -> list[str]:
    """Whose tokens are told apart from those of strangers, by what they are told."""
    found = []
    for issuer in ("https://one.example", "https://two.example"):
        token = unsigned(issuer)
        body = {"path": "m:notes", "args": {}}
        headers = {"Authorization": f"Bearer {token}"}
        said = running.ask("POST", "/api/query", body, key="", headers=headers)
        if said.json().get("code") != "NoAuthProvider":
            found.append(issuer)
    return found


def unsigned(issuer: str) -> str:
    """A token that names its issuer; nobody has signed it."""
    head = {"alg": "RS256", "typ": "JWT", "kid": "k"}
    claims = {"iss": issuer, "aud": "a", "sub": "ann", "iat": 1, "exp": 4_000_000_000}
    parts = [json.dumps(head).encode(), json.dumps(claims).encode(), b"x"]
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_a_secret_that_is_said_is_told_to_no_function_process(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "0123456789" * 4
    monkeypatch.setenv("CONVEXLAB_SECRET", secret)
    monkeypatch.setenv("OWNERS_KEY", "hidden from functions")
    with deployment(home / "said", MODULES) as running:
        put(running, KEY="value")
        assert running.action("m:read", name="KEY") == "value"
        for name in ("CONVEXLAB_SECRET", "OWNERS_KEY"):
            assert running.action("m:plain", name=name) is None
            assert running.action("m:c_level", name=name) == ""
        told = []
        for process in running.family():
            with suppress(psutil.NoSuchProcess):  # or a zombie: it ends meanwhile
                if "convexlab.functions.processes.child" in process.cmdline():
                    told.append(process.environ().get("CONVEXLAB_SECRET"))
        assert told
        assert set(told) == {None}
