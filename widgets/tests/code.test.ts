import assert from "node:assert/strict";
import { test } from "node:test";
import { callCode, literal, liveCode, logsCode, sqlCode } from "../lab/sidebar/code.ts";
import type { Function, Index, Table } from "../lab/sidebar/deployment.ts";
import { proposals } from "../lab/sidebar/proposals.ts";
import { fieldNames, type Shape, schemaCode } from "../lab/sidebar/schema.ts";
import type { Validator } from "../src/inputs.ts";
import { readSpec } from "../src/spec.ts";

const field = (fieldType: Validator, optional = false) => ({ fieldType, optional });

test("values are written as Python reads them", () => {
  const value = { ok: true, none: null, n: 1.5, big: 2n, text: 'a "b"\n', list: [-0, Infinity] };
  assert.equal(
    literal(value),
    '{"ok": True, "none": None, "n": 1.5, "big": Int64(2), "text": "a \\"b\\"\\n", "list": [-0.0, float("inf")]}',
  );
  assert.equal(literal(new Uint8Array([0, 255]).buffer), 'bytes.fromhex("00ff")');
});

test("a call has what was given, or what it must be given", () => {
  const args: Validator = {
    type: "object",
    value: { text: field({ type: "string" }), due: field({ type: "number" }, true) },
  };
  const create: Function = { module: "tasks", name: "create", kind: "mutation", args, description: null, line: 1 };
  assert.equal(callCode(create), 'db.mutation("tasks:create", text=...)');
  assert.equal(callCode(create, { text: "a" }), 'db.mutation("tasks:create", text="a")');
  const list = { ...create, name: "list", kind: "query" as const };
  assert.equal(callCode(list, { from: 1, class: 2 }), 'db.watch("tasks:list", **{"from": 1, "class": 2})');
  assert.equal(
    callCode(list, { n: 1n }),
    'from convexlab import Int64\n\ndb.watch("tasks:list", n=Int64(1))',
  );
});

test("a live output is written as the call that gave it", () => {
  const code = (view: object, more: object = {}) =>
    liveCode(readSpec({ path: "tasks:list", args: {}, view, ...more }));
  assert.equal(code({ kind: "metric", field: "n", label: "tasks" }), 'db.watch("tasks:list").metric("n", label="tasks")');
  assert.equal(code({ kind: "chart", chart: { mark: "bar", x: null } }), 'db.watch("tasks:list").chart({"mark": "bar", "x": None})');
  assert.equal(code({ kind: "stored", table: "tasks" }), 'db.table("tasks")');
  const of = { sql: "select 1", params: [2] };
  assert.equal(code({ kind: "stored", table: "rows", of, back: 60 }), 'db.sql("select 1", params=[2]).watch().history(60)');
  assert.equal(code({ kind: "stored", table: "rows", of: { ...of, ts: "17" } }), 'db.at(17).sql("select 1", params=[2])');
  assert.equal(code({ kind: "auto", back: 600 }), 'db.watch("tasks:list").history(600)');
  assert.equal(code({ kind: "log", field: null }), 'db.watch("tasks:list").log()');
});

test("a statement of several lines stays readable", () => {
  assert.equal(sqlCode("select 1"), 'db.sql("select 1").watch()');
  assert.equal(
    sqlCode('SELECT * FROM "t"\nWHERE n > ?', [1]),
    'db.sql("""\nSELECT * FROM "t"\nWHERE n > ?\n""", params=[1]).watch()',
  );
});

test("a log is asked for as the magic takes it", () => {
  assert.equal(logsCode({}), "%convex logs --success");
  assert.equal(
    logsCode({ text: "it's late", function: "tasks:create", failed: "true" }),
    `%convex logs --text 'it'"'"'s late' --function tasks:create --failed`,
  );
});

const INDEX: Index = { kind: "unique", name: "by_a", fields: ["a", "b"], state: "staged", error: null };

test("a table is declared as its documents are", () => {
  const shape: Shape = {
    type: "Object",
    fields: [
      { fieldName: "_id", optional: false, shape: { type: "Id", tableName: "t" } },
      { fieldName: "a", optional: false, shape: { type: "Float64" } },
      { fieldName: "b", optional: true, shape: { type: "Union", shapes: [{ type: "Null" }, { type: "Int64" }] } },
      { fieldName: "who", optional: false, shape: { type: "Array", shape: { type: "Id", tableName: "users" } } },
    ],
  };
  const table: Table = { name: "t", documentType: null, indexes: [INDEX] };
  const lines = `    "t": define_table({
        "a": v.number(),
        "b": v.optional(v.union(v.null(), v.int64())),
        "who": v.array(v.id("users")),
    })
    .index("by_a", ["a", "b"], unique=True, staged=True),`;
  assert.equal(schemaCode(table, shape, true), lines);
  assert.ok(schemaCode(table, shape, false).startsWith("%%convex schema\nfrom convexlab import"));
  assert.deepEqual(fieldNames(table, shape), ["_id", "a", "b", "who", "_creationTime"]);
});

test("a word in a statement becomes a table or a field", () => {
  const names = new Map([
    ["flights", ["carrier", "dest"]],
    ["planes", ["tailnum", "carried"]],
  ]);
  const found = (text: string) => proposals(text, text.length, names).found;
  assert.deepEqual(found("select * from "), []);
  assert.deepEqual(found("select * from f"), ["flights"]);
  assert.deepEqual(found("select planes."), ["tailnum", "carried"]);
  assert.deepEqual(found("select x from planes where car"), ["carried", "carrier"]);
  assert.deepEqual(found("gro"), ["GROUP"]);
});
