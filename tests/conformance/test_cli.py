"""Points 55 to 57: the official command line on a self-hosted address."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.compat.cli import PATIENCE_SECONDS, Cli
from tests.conformance.proxy import proxy
from tests.conformance.wire import wire

pytestmark = pytest.mark.node


@pytest.fixture
def cli(tmp_path, running) -> Cli:
    return Cli(tmp_path / "project", running.url, running.admin_key)


async def test_point_55_run_calls_any_function(cli, running, name):
    args = json.dumps({"name": name})
    assert json.loads(await cli.out("run", "points:inc", args)) == 1
    assert json.loads(await cli.out("run", "api.points.get", args)) == 1
    assert await cli.out("run", "points:clear", args) == "", "null says nothing"
    user = json.dumps({"subject": "ann"})
    assert json.loads(await cli.out("run", "users:me", "--identity", user)) == "ann"


async def test_point_55_run_says_what_is_wrong(cli):
    said = await cli("run", "no:such")
    assert said.status == 1
    assert "Could not find function for 'no:such'" in said.err
    assert "points:inc" in said.err, "the functions there are"
    said = await cli("run", "fail:query")
    assert said.status == 1
    assert "ValueError: boom" in said.err


async def test_point_55_what_is_javascript_is_refused_with_the_way_out(cli):
    said = await cli("run", "--inline-query", "await ctx.db.query('points').collect()")
    assert said.status == 1
    assert "functions are Python" in said.err
    assert "npx convex data" in said.err


@pytest.mark.parametrize("command", ["dashboard", "insights"])
async def test_point_55_what_needs_the_cloud_says_so_itself(cli, command):
    said = await cli(command)
    assert "self-hosted" in said.err or "cloud deployments" in said.err


async def test_point_55_run_follows_a_query(cli, running, name):
    args = json.dumps({"name": name})
    async with cli.running("run", "points:get", args, "--watch") as process:
        assert process.stdout is not None
        for n in range(3):
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert json.loads(await process.stdout.readline()) == n
            await asyncio.to_thread(running.mutation, "points:inc", name=name)


async def test_point_55_data_shows_tables_and_documents(cli, running, name):
    for text in "ab":
        await asyncio.to_thread(
            running.mutation, "points:add_line", name=name, text=text
        )
    tables = (await cli.out("data")).split()
    assert {"lines", "points"} <= set(tables)
    assert tables == sorted(tables)
    form = ("data", "lines", "--format", "jsonl")
    newest = json.loads(await cli.out(*form, "--limit", "1"))
    assert newest["text"] == "b"
    oldest = await cli.out(*form, "--order", "asc", "--limit", "5000")
    assert [json.loads(line)["name"] for line in oldest.splitlines()].count(name) == 2
    shown = await cli.out("data", "lines", "--limit", "5")
    assert "_creationTime" in shown
    assert "There are no documents" in (await cli("data", "nothing")).err


async def test_point_55_function_spec_lists_the_functions(cli, running):
    said = json.loads(await cli.out("function-spec"))
    assert said["url"] == running.url
    by_name = {item.get("identifier"): item for item in said["functions"]}
    route = {"functionType": "HttpAction", "method": "GET", "path": "/a/*"}
    assert route in said["functions"]
    assert by_name["points.js:get"]["functionType"] == "Query"
    assert by_name["points.js:clear"]["visibility"] == {"kind": "internal"}
    args = by_name["points.js:inc"]["args"]["value"]
    assert args["by"] == {"fieldType": {"type": "number"}, "optional": True}


async def test_point_55_network_test_passes(cli):
    said = await cli("network-test")
    assert said.status == 0, said.err
    assert "Network test passed" in said.err


TO_COME = "comes with the deployment's {}: take this mark away with it"


async def test_point_55_env_sets_lists_and_removes(cli):
    await cli.out("env", "set", "KEY", "a value")
    assert (await cli.out("env", "get", "KEY")).strip() == "a value"
    assert "KEY=" in await cli.out("env", "list", "--include-values")
    await cli.out("env", "remove", "KEY")
    assert "KEY" not in await cli.out("env", "list", "--include-values")
    assert "not found" in (await cli("env", "get", "KEY")).err


async def test_point_55_env_takes_a_file_of_variables(cli):
    file = cli.folder / "variables.env"
    file.write_text("FROM_FILE='one # two'\nSECOND=\"a\\nb\"\n")
    await cli.out("env", "set", "--from-file", str(file))
    assert await cli.out("env", "get", "SECOND") == "a\nb\n"
    file.write_text("FROM_FILE=other\n")
    assert "already exists" in (await cli("env", "set", "--from-file", str(file))).err
    await cli.out("env", "set", "--force", "--from-file", str(file))
    assert "FROM_FILE=other" in await cli.out("env", "list", "--include-values")


async def test_point_55_env_says_what_cannot_be_set(cli):
    said = await cli("env", "set", "CONVEX_SITE_URL", "x")
    assert said.status == 1
    assert "is built-in and cannot be overridden" in said.err


async def test_point_55_logs_show_what_was_printed(cli, running, name):
    await asyncio.to_thread(running.mutation, "points:inc", name=name)
    async with cli.running("logs", "--history", "1", "--jsonl") as process:
        before = json.loads(await _line_of(process))
        await asyncio.to_thread(running.mutation, "points:inc", name=f"{name} again")
        after = json.loads(await _line_of(process))
    assert before["kind"] == "Completion"
    assert before["identifier"] == "points:inc"
    assert before["logLines"][0]["messages"] == [f"'inc' {name!r}"]
    assert after["logLines"][0]["messages"] == [f"'inc' {name + ' again'!r}"]
    assert after["timestamp"] > before["timestamp"]


async def test_point_55_logs_are_text_for_people(cli, running, name):
    await asyncio.to_thread(running.mutation, "points:inc", name=name)
    await asyncio.to_thread(running.call, "mutation", "fail:mutation")
    async with cli.running("logs", "--history", "2", "--success") as process:
        printed = await _line_of(process)
        done = await _line_of(process)
        failed = await _line_of(process)
    assert f"[CONVEX M(points:inc)] [LOG] 'inc' {name!r}" in printed
    assert "[CONVEX M(points:inc)] Function executed in" in done
    assert "[CONVEX M(fail:mutation)] Uncaught ValueError: boom" in failed


async def test_point_55_logs_end_at_once_with_a_wrong_key(cli, running):
    wrong = Cli(cli.folder / "other", running.url, "wrong|0123456789abcdef")
    said = await wrong("logs")
    assert said.status != 0
    assert "The admin key is not this deployment's" in said.err


async def _line_of(process) -> str:
    """A line that the official command line prints in time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return (await process.stdout.readline()).decode()


async def test_point_57_deploying_fails_at_once_and_says_why(tmp_path, running, url):
    """With no status that it would try again: each command asks once."""
    commands = (["deploy"], ["dev", "--once"], ["codegen"])
    async with proxy(url) as between:
        cli = Cli(tmp_path / "project", between.url, running.admin_key)
        (cli.folder / "convex").mkdir()
        for command in commands:
            said = await cli(*command, "--typecheck", "disable")
            assert said.status != 0
            assert "functions are Python" in said.err, said.err
        asked = between.asked.count("POST /api/get_config_hashes")
        assert asked == len(commands), between.asked


async def test_the_lists_that_the_command_line_shows_are_live(url, running, name):
    async with wire(url) as client:
        client.authenticate(running.admin_key, tokenType="Admin")
        client.follow("_system/cli/tables", {"paginationOpts": {"cursor": None}})
        client.follow("_system/cli/tableSize:default", {"tableName": "points"})
        await client.confirmed()
        size = client.results[1]
        await client.run("points:inc", name=name)
        assert client.results[1] == size + 1


async def test_the_systems_queries_are_the_owners_alone(url):
    async with wire(url) as client:
        for path in ("_system/cli/tables", "_system/cli/modules:apiSpec"):
            message, _ = await client.ask(path)
            assert "Could not find public function" in message
