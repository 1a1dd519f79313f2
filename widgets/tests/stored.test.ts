import assert from "node:assert/strict";
import { test } from "node:test";
import { rowsFrom, sessionFrom, xsrf } from "../src/owner.ts";
import { tsOf } from "../src/socket.ts";
import { CallError, isPassing } from "../src/source.ts";
import { columnsOf } from "../src/table/columns.ts";
import { argumentsOf, edited } from "../src/table/edits.ts";
import { factsText } from "../src/table/profile.ts";
import { countOf, profileOf, rowsFromTo, type Stored } from "../src/table/statements.ts";
import { farOf, merged } from "../src/table/stored.ts";
import { BLOCK, blocksOf, WindowRows } from "../src/table/window.ts";
import { placed, thinned } from "../src/views/sparkline.ts";

const columns = columnsOf([{ _id: "x", n: 1, name: "a" }], null);
const stored = (changes: Partial<Stored> = {}): Stored => ({
  table: 'my "table"',
  isAnswer: false,
  request: { filters: [], search: "" },
  sorting: null,
  columns,
  ...changes,
});

test("a table is read newest first, in blocks", () => {
  assert.equal(
    rowsFromTo(stored(), 200, 100).sql.replaceAll(/\s+/g, " "),
    'SELECT _doc FROM "my ""table""" ORDER BY "_creationTime" DESC, _id DESC LIMIT 100 OFFSET 200',
  );
  const sorted = stored({ sorting: { column: "n", direction: "desc" } });
  assert.match(rowsFromTo(sorted, 0, 1).sql, /ORDER BY "n" DESC NULLS LAST, "_creationTime"/);
});

test("a statement's rows are read in its order, which settles what is equal", () => {
  const answer = stored({ table: "rows", isAnswer: true });
  assert.equal(
    rowsFromTo(answer, 0, 100).sql.replaceAll(/\s+/g, " "),
    'SELECT * EXCLUDE (_place) FROM "rows" LIMIT 100 OFFSET 0',
  );
  const sorted = { ...answer, sorting: { column: "n", direction: "asc" } as const };
  assert.match(rowsFromTo(sorted, 0, 1).sql, /ORDER BY "n" ASC NULLS FIRST, _place LIMIT/);
  const rows = new WindowRows(2, false);
  rows.put(0, [{ _id: "same" }, { _id: "same" }]);
  assert.deepEqual([rows.keyAt(0), rows.keyAt(1)], ["?0", "?1"]);
});

test("count, rows and profiles are of the same request", () => {
  const filters = [{ column: "n", operator: ">", text: "3" } as const];
  const asked = stored({ request: { filters, search: "" } });
  assert.deepEqual(countOf(asked).params, [3]);
  assert.deepEqual(rowsFromTo(asked, 0, 1).params, [3]);
  assert.deepEqual(profileOf(asked, columns).params, [3]);
  assert.match(profileOf(asked, columns).sql, /^SUMMARIZE SELECT "_id", "n", "name" FROM .* WHERE/);
});

test("only the blocks in sight are asked for", () => {
  assert.deepEqual(blocksOf({ start: 0, end: 30 }, 336_776), [0]);
  assert.deepEqual(blocksOf({ start: 90, end: 130 }, 336_776), [0, 1]);
  assert.deepEqual(blocksOf({ start: 0, end: 30 }, 0), []);
  assert.deepEqual(blocksOf({ start: 150, end: 400 }, 160), [1]);
});

test("a window of a long table keeps few blocks, and names all places", () => {
  const rows = new WindowRows(1_000_000);
  for (let block = 0; block < 100; block++) rows.put(block, [{ _id: `id${block}` }]);
  assert.equal(rows.here().length, 40);
  assert.equal(rows.at(0), undefined);
  assert.equal(rows.keyAt(0), "?0");
  assert.equal(rows.place("id0"), undefined);
  assert.equal(rows.place("id99"), 99 * BLOCK);
  assert.deepEqual(rows.get("id99"), { _id: "id99" });
});

test("a column without a value is a missing field", () => {
  assert.deepEqual(rowsFrom([{ a: null, b: { $integer: "AQAAAAAAAAA=" } }]), [{ b: 1n }]);
  // A whole document says which it is.
  assert.deepEqual(rowsFrom([{ _doc: { a: null, b: 1 } }]), [{ a: null, b: 1 }]);
});

test("an edit is the mutation's arguments, and the result as it will be", () => {
  const edit = { path: "t:update", id: "taskId", within: null, fields: {} };
  assert.deepEqual(argumentsOf(edit, "x", "n", 2), { taskId: "x", n: 2 });
  const within = { ...edit, within: "fields" };
  assert.deepEqual(argumentsOf(within, "x", "n", 2), { taskId: "x", fields: { n: 2 } });
  const page = [
    { _id: "x", n: 1 },
    { _id: "y", n: 1 },
  ];
  assert.deepEqual(edited(page, { id: "x", column: "n", value: 2 }), [
    { _id: "x", n: 2 },
    { _id: "y", n: 1 },
  ]);
  assert.deepEqual(edited({ page, isDone: true }, { id: "z", column: "n", value: 2 }), {
    page,
    isDone: true,
  });
});

test("a profile says what is missing", () => {
  assert.equal(
    factsText({ n: 9_000, there: 745, different: 527 }),
    "8,255 missing · 527 different",
  );
  assert.equal(factsText({ n: 3, there: 3, different: 3 }), "3 different");
});

test("a moment is written as the protocol writes timestamps", () => {
  assert.equal(tsOf(0.001), "6AMAAAAAAAA=");
});

test("columns keep their places while rows with others come", () => {
  const first = columnsOf([{ _id: "x", a: 1, b: 2, _creationTime: 1 }], null);
  const next = columnsOf([{ _id: "y", c: 1, a: "text", _creationTime: 2 }], null);
  const both = merged(first, next);
  assert.deepEqual(
    both.map(({ name, type }) => `${name}: ${type}`),
    ["_id: string", "a: string", "b: number", "c: number", "_creationTime: number"],
  );
  assert.deepEqual(merged([], next), next);
});

test("what passes is told from what does not", () => {
  assert.ok(isPassing(new TypeError("Failed to fetch")));
  assert.ok(isPassing(new CallError("building", undefined, "FollowerBehind")));
  assert.ok(isPassing(new CallError("bad gateway", undefined, "Http502")));
  assert.ok(!isPassing(new CallError("no such table", undefined, "NotFound")));
  assert.ok(!isPassing(new CallError("forbidden", undefined, "Http403")));
});

test("the XSRF token is Jupyter's cookie", () => {
  assert.equal(xsrf("a=1; _xsrf=2|ab|cd|17; b=2"), "2|ab|cd|17");
  assert.equal(xsrf("no_xsrf=1"), "");
});

test("a sparkline fills its picture, and forgets detail before shape", () => {
  const points = [1, 5, 3].map((value, at) => ({ at, value }));
  assert.deepEqual(placed(points), [
    [3, 33],
    [80, 3],
    [157, 18],
  ]);
  let many: readonly { at: number; value: number }[] = [];
  for (let at = 0; at < 1_000; at++) many = thinned([...many, { at, value: at }]);
  assert.ok(many.length <= 241);
  assert.equal(many.at(-1)?.value, 999);
});

test("a session is renewed when half of its time is over", () => {
  const said = { adminKey: "local|session.9.ab", seconds: 3600 };
  assert.deepEqual(sessionFrom(said, 1_000), { key: said.adminKey, renewAt: 1_801_000 });
  assert.throws(() => sessionFrom({ adminKey: null, seconds: 3600 }, 0), CallError);
});

test("what is prepared is told with its table", () => {
  const said = "The columnar index is being built (now: table `a`, 40 %). Try again.";
  assert.equal(farOf(said), " (`a`, 40 %)");
  assert.equal(farOf("The columnar index is 0.5 s of commits behind. Try again."), "");
});
