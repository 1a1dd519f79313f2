"""A front end in TypeScript is checked against what a deployment runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.deployments import deployment

from convexlab.cli.main import main

ROOT = Path(__file__).parents[2]
TSC = ROOT / "widgets" / "node_modules" / ".bin" / "tsc"
PACKAGES = ROOT / "tests" / "compat" / "node_modules"

MODULES = {
    "schema": """
from convexlab import define_schema, define_table, v

schema = define_schema({
    "tasks": define_table({
        "text": v.string(),
        "owner": v.object({"name": v.string(), "age": v.optional(v.number())}),
        "state": v.union(v.literal("open"), v.literal("done")),
    }).index("by_state", ["state", "owner.name"]).search_index("text", search_field="text"),
    "events": define_table(v.union(
        v.object({"kind": v.literal("a"), "n": v.int64()}),
        v.object({"kind": v.literal("b"), "data": v.bytes()}),
    )),
    "loose": define_table(v.any()),
})
""",
    "tasks": """
from typing import Literal, TypedDict
from convexlab import Doc, Id, Int64, PaginationOpts, PaginationResult, internal_mutation, mutation, query

class Shown(TypedDict):
    _id: Id.tasks
    text: str
    tags: list[str] | None

@mutation
def create(ctx, text: str, state: Literal["open", "done"] = "open") -> Id.tasks:
    "Add a task."
    return ctx.db.insert("tasks", {"text": text, "state": state, "owner": {"name": "x"}})

@query
def get_by_state(ctx, state: str, since: Int64) -> list[Shown]:
    return []

@query
def page(ctx, paginationOpts: PaginationOpts):
    return ctx.db.query("tasks").paginate(paginationOpts)

@query
def typed_page(ctx, paginationOpts: PaginationOpts) -> PaginationResult[Shown]:
    return {"page": [], "isDone": True, "continueCursor": ""}

@query
def count(ctx) -> float:
    return 0

@query
def all_(ctx) -> list[Doc]:
    return []

@internal_mutation
def clear(ctx) -> None: ...
""",
    "admin/users": """
from convexlab import action, query

@query
def default(ctx) -> str:
    return "x"

@action
def mail(ctx, to: str) -> bool:
    return True
""",
}

GOOD = """
import { ConvexClient } from "convex/browser";
import type { PaginatedQueryItem, PaginatedQueryReference } from "convex/react";
import type { FunctionArgs, FunctionReturnType } from "convex/server";
import { api, internal } from "./convex/_generated/api.js";
import type { DataModel, Doc, Id, TableNames } from "./convex/_generated/dataModel.js";
import type { QueryCtx } from "./convex/_generated/server.js";

const client = new ConvexClient("http://x");
export const made: Promise<Id<"tasks">> = client.mutation(api.tasks.create, { text: "a" });
client.mutation(api.tasks.create, { text: "a", state: "done" });
client.onUpdate(api.tasks.getByState, { state: "open", since: 3n }, (tasks) => {
  const first = tasks[0];
  const id: Id<"tasks"> = first._id;
  const tags: string[] | null = first.tags;
  console.log(id, tags, first.text.length);
});
client.query(api.tasks.count, {}).then((n: number) => n + 1);
client.query(api.tasks.all, {}).then((docs) => docs as Doc<"tasks">[]);
client.action(api.admin.users.mail, { to: "a" }).then((sent: boolean) => sent);
client.query(api.admin.users.default, {}).then((text: string) => text);
export type Opts = FunctionArgs<typeof api.tasks.page>["paginationOpts"];
export const opts: Opts = { numItems: 5, cursor: null };
export const pages: PaginatedQueryReference[] = [api.tasks.page, api.tasks.typedPage];
export type Shown = PaginatedQueryItem<typeof api.tasks.typedPage>;
export const tagsOf = (shown: Shown): string[] | null => shown.tags;
export const cleared: FunctionReturnType<typeof internal.tasks.clear> = null;

export const task = (doc: Doc<"tasks">): string => doc.owner.name + doc._creationTime;
export const event = (doc: Doc<"events">): bigint => (doc.kind === "a" ? doc.n : 0n);
export const tables: TableNames[] = ["tasks", "events", "loose"];
export type Fields = DataModel["tasks"]["indexes"]["by_state"];
export const fields: Fields = ["state", "owner.name", "_creationTime"];
export const open = (ctx: QueryCtx) =>
  ctx.db.query("tasks").withIndex("by_state", (q) => q.eq("state", "open")).collect();
export const found = (ctx: QueryCtx) =>
  ctx.db.query("tasks").withSearchIndex("text", (q) => q.search("text", "hi")).take(1);
"""

# Each of these on its own is an error.
WRONG = [
    "client.mutation(api.tasks.create, {});",
    "client.mutation(api.tasks.create, { text: 1 });",
    'client.mutation(api.tasks.create, { text: "a", state: "closed" });',
    'client.mutation(api.tasks.create, { text: "a", other: 1 });',
    'client.query(api.tasks.create, { text: "a" });',
    "client.query(api.tasks.missing, {});",
    "client.mutation(api.tasks.clear, {});",
    "client.query(api.tasks.count, { x: 1 });",
    'client.query(api.tasks.getByState, { state: "a", since: 3 });',
    "export const page: PaginatedQueryReference = api.tasks.count;",
    "client.query(api.tasks.count, {}).then((n: string) => n);",
    'export const other: Doc<"nothing">;',
    'export const text = (doc: Doc<"tasks">): number => doc.text;',
    'export const strange = (id: Id<"events">): Id<"tasks"> => id;',
]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("types") / "deployment", MODULES) as one:
        yield one


@pytest.fixture
def convexlab(running, tmp_path, monkeypatch):
    """Run a command on the deployment, in a folder of its own; what it said."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        options = ("--url", running.url, "--admin-key", running.admin_key)
        result = CliRunner().invoke(main, [*arguments, *options])
        assert result.exit_code == 0, result.output
        return result.output.strip()

    return command


def test_the_function_spec_has_the_official_shape(convexlab, running, tmp_path):
    said = json.loads(convexlab("function-spec"))
    assert said["url"] == running.url
    by_name = {item["identifier"]: item for item in said["functions"]}
    create = by_name["tasks.js:create"]
    assert create["functionType"] == "Mutation"
    assert create["visibility"] == {"kind": "public"}
    assert create["args"]["value"]["text"] == {
        "fieldType": {"type": "string"},
        "optional": False,
    }
    assert create["returns"] == {"type": "id", "tableName": "tasks"}
    assert by_name["tasks.js:page"]["returns"] == {"type": "any"}
    assert by_name["tasks.js:clear"]["visibility"] == {"kind": "internal"}
    convexlab("function-spec", "--file")
    (file,) = tmp_path.glob("function_spec_*.json")
    assert json.loads(file.read_text()) == said


def test_types_are_written_where_they_are_stale(convexlab, tmp_path):
    assert "would change: " in convexlab("codegen", "--dry-run")
    assert not (tmp_path / "convex").exists()
    convexlab("codegen")
    home = tmp_path / "convex" / "_generated"
    assert sorted(file.name for file in home.iterdir()) == [
        "api.d.ts",
        "api.js",
        "dataModel.d.ts",
        "server.d.ts",
    ]
    assert "   * Add a task." in (home / "api.d.ts").read_text()
    assert "all is fresh" in convexlab("codegen")
    (home / "api.js").write_text("")
    assert convexlab("codegen") == f"written: {Path('convex/_generated/api.js')}"


def tsc(folder):
    """What TypeScript has to say of a folder's own files, generated ones included."""
    options = {
        "strict": True,
        "noEmit": True,
        "module": "esnext",
        "moduleResolution": "bundler",
        "target": "es2022",
        "lib": ["es2022", "dom"],
        "types": [],
    }
    (folder / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": options, "include": ["*.ts", "convex"]})
    )
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(PACKAGES)
    done = subprocess.run(
        [TSC, "-p", folder, "--pretty", "false"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    lines = done.stdout.splitlines()  # React, which is no part of this, has no types
    return [line for line in lines if line.startswith(("app.ts", "convex/"))]


@pytest.mark.node
def test_typescript_takes_what_is_right_and_refuses_what_is_wrong(convexlab, tmp_path):
    if not TSC.exists() or not (PACKAGES / "convex").is_dir():
        pytest.skip("run `npm ci` in widgets and in tests/compat first")
    convexlab("codegen")
    (tmp_path / "app.ts").write_text(GOOD)
    assert tsc(tmp_path) == []
    begin = GOOD.count("\n") + 1
    (tmp_path / "app.ts").write_text("\n".join([GOOD.rstrip("\n"), "", *WRONG, ""]))
    said = tsc(tmp_path)
    for number, line in enumerate(WRONG, begin + 1):
        found = [told for told in said if told.startswith(f"app.ts({number},")]
        assert found, f"{line} was taken: {said}"
