import assert from "node:assert/strict";
import { test } from "node:test";
import { columnsOf, tabbed, typeText } from "../src/table/columns.ts";
import { nextSorting, type Row, type Rows, rowsOf } from "../src/table/rows.ts";
import { areaOf, HEAD, kept, motionOf, moved } from "../src/table/selection.ts";
import { anchored, drawn, MAX_DRAWN, ROW_PX, revealing } from "../src/table/viewport.ts";

const rows = (...records: Row[]) => rowsOf(records) as Rows;
const numbered = (...ids: number[]) => rows(...ids.map((n) => ({ _id: `id${n}`, n })));

test("documents are known by id, other rows by place, twins by count", () => {
  assert.deepEqual(rows({ _id: "a" }, { n: 1 }, { _id: "a" }).keys, ["a", "#1", "a#1"]);
});

test("a page of results is its rows; a list of anything else is none", () => {
  assert.equal(rowsOf({ page: [{ a: 1 }], isDone: false, continueCursor: "" })?.count, 1);
  assert.equal(rowsOf([{ a: 1 }, 2]), null);
  assert.equal(rowsOf("text"), null);
  assert.equal(rowsOf([])?.count, 0);
});

test("sorting uses the order of values and is stable", () => {
  const mixed = rows({ x: "b" }, {}, { x: 2 }, { x: null }, { x: 10 }, { x: true }, { x: 2 });
  const sorted = mixed.sorted({ column: "x", direction: "asc" });
  assert.deepEqual(sorted.keys, ["#1", "#3", "#2", "#6", "#4", "#5", "#0"]);
  assert.deepEqual(mixed.sorted({ column: "x", direction: "desc" }).keys[0], "#0");
  assert.equal(mixed.sorted(null), mixed);
});

test("a column's head asks for ascending, descending, the query's order", () => {
  const first = nextSorting(null, "x");
  const second = nextSorting(first, "x");
  assert.deepEqual([first?.direction, second?.direction], ["asc", "desc"]);
  assert.equal(nextSorting(second, "x"), null);
  assert.equal(nextSorting(second, "y")?.direction, "asc");
});

test("columns come in order of appearance, id first, creation time last", () => {
  const seen = columnsOf(
    [
      { b: 1, _creationTime: 1, _id: "x" },
      { c: 1, b: 2 },
    ],
    null,
  );
  assert.deepEqual(
    seen.map((column) => column.name),
    ["_id", "b", "c", "_creationTime"],
  );
});

test("columns that were told are those and no others", () => {
  const told = columnsOf([{ a: 1, b: 2 }], ["b", "z"]);
  assert.deepEqual(
    told.map((column) => [column.name, column.type]),
    [
      ["b", "number"],
      ["z", ""],
    ],
  );
});

test("a column's type says what is missing and what is null", () => {
  const type = (...cells: Row[]) => columnsOf(cells, ["x"])[0]?.type;
  assert.equal(type({ x: 1 }, { x: 2 }), "number");
  assert.equal(type({ x: 1 }, {}), "number?");
  assert.equal(type({ x: 1 }, { x: null }), "number | null");
  assert.equal(type({ x: 1 }, { x: null }, {}), "(number | null)?");
  assert.equal(type({ x: 1 }, { x: "a" }), "number | string");
  assert.equal(typeText(new Map([["null", 2]] as const), 2), "null");
});

test("a numeric column stays numeric with nulls and gaps", () => {
  const numeric = (...cells: Row[]) => columnsOf(cells, ["x"])[0]?.numeric;
  assert.ok(numeric({ x: 1 }, { x: null }, {}));
  assert.ok(numeric({ x: 1n }));
  assert.ok(!numeric({ x: 1 }, { x: "1" }));
});

test("rows copy as tab-separated text", () => {
  assert.equal(tabbed({ a: 1, b: "x\ty", c: null }, ["a", "b", "c", "d"]), "1\tx y\tnull\t");
});

test("only what is in sight is drawn, whatever the length", () => {
  for (const top of [0, 1, 999, 500_000, 27_999_000]) {
    for (const height of [0, 300, 900, 5_000]) {
      const { start, end } = drawn(top, height, 1_000_000);
      assert.ok(end - start <= MAX_DRAWN, `${end - start} rows at ${top}`);
      assert.ok(start * ROW_PX <= top);
    }
  }
  assert.deepEqual(drawn(0, 380, 0), { start: 0, end: 0 });
  assert.deepEqual(drawn(0, 380, 3), { start: 0, end: 3 });
});

test("rows that come above leave what one reads in its place", () => {
  const before = numbered(1, 2, 3, 4, 5);
  const top = 2 * ROW_PX + 5;
  assert.equal(anchored(before, numbered(8, 9, 1, 2, 3, 4, 5), top), top + 2 * ROW_PX);
  assert.equal(anchored(before, numbered(2, 3, 4, 5), top), top - ROW_PX);
});

test("if the first row in sight goes, the next one keeps its place", () => {
  assert.equal(anchored(numbered(1, 2, 3), numbered(1, 3), ROW_PX), 0);
  assert.equal(anchored(numbered(1, 2), numbered(8, 9), ROW_PX), ROW_PX);
});

test("at the top one watches the top", () => {
  assert.equal(anchored(numbered(1, 2), numbered(9, 1, 2), 0), 0);
});

test("revealing scrolls no further than it must", () => {
  assert.equal(revealing(3, 0, 10 * ROW_PX), 0);
  assert.equal(revealing(12, 0, 10 * ROW_PX), 3 * ROW_PX);
  assert.equal(revealing(2, 5 * ROW_PX, 10 * ROW_PX), 2 * ROW_PX);
});

const columns = ["a", "b", "c"];

test("keys move the active cell and stop at the edges", () => {
  const grid = numbered(1, 2, 3);
  const at = { row: "id2", column: "b" };
  const press = (key: string, far = false) => {
    const motion = motionOf(key, far, 10);
    assert.ok(motion);
    return moved(at, motion, grid, columns);
  };
  assert.deepEqual(press("ArrowDown"), { row: "id3", column: "b" });
  assert.deepEqual(press("PageDown"), { row: "id3", column: "b" });
  assert.deepEqual(press("ArrowRight", true), { row: "id2", column: "c" });
  assert.deepEqual(press("Home", true), { row: "id1", column: "a" });
  assert.deepEqual(press("End"), { row: "id2", column: "c" });
  assert.equal(motionOf("x", false, 10), null);
});

test("above the first row are the heads", () => {
  const grid = numbered(1, 2);
  const up = moved({ row: "id1", column: "a" }, { rows: -1, columns: 0 }, grid, columns);
  assert.equal(up.row, HEAD);
  assert.equal(moved(up, { rows: 1, columns: 1 }, grid, columns).row, "id1");
});

test("a selection stays on its rows while others come and go", () => {
  const selection = { active: { row: "id2", column: "a" }, anchor: { row: "id3", column: "b" } };
  const after = numbered(9, 1, 2, 3);
  assert.equal(kept(selection, after), selection);
  assert.deepEqual(areaOf(selection, after, columns), { top: 2, bottom: 3, left: 0, right: 1 });
});

test("a corner whose row is gone goes to the other corner", () => {
  const selection = { active: { row: "id2", column: "a" }, anchor: { row: "id3", column: "b" } };
  assert.deepEqual(kept(selection, numbered(1, 3))?.active, selection.anchor);
  assert.equal(kept(selection, numbered(1)), null);
});
