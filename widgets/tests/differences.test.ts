import assert from "node:assert/strict";
import { test } from "node:test";
import { spanText } from "../src/past.ts";
import { differencesOf } from "../src/compare/differences.ts";

test("rows are compared by what names them", () => {
  const [a, b, c] = [
    { _id: "a", n: 1 },
    { _id: "b", n: 2 },
    { _id: "c", n: 3, tags: ["x"] },
  ];
  const found = differencesOf([a, b, c], [a, { _id: "c", n: 4, tags: ["x"] }, { _id: "d", n: 5 }]);
  assert.deepEqual([...found.marks], [["b", "removed"], ["c", "changed"], ["d", "added"]]);
  assert.deepEqual(found.rows.get("c"), { "±": "changed", _id: "c", n: "3 → 4", tags: ["x"] });
  assert.equal(found.markAt("c", "n"), "changed");
  assert.equal(found.markAt("c", "tags"), undefined);
  assert.equal(found.markAt("b", "n"), "removed");
  assert.equal(found.same, 1);
  assert.equal(found.columns.find(({ name }) => name === "n")?.type, "number");
});

test("what is gone stands where it stood", () => {
  const ids = (text: string) => [...text].map((_id) => ({ _id }));
  const { rows } = differencesOf(ids("axbyz"), ids("ab"));
  assert.deepEqual(rows.keys, ["x", "y", "z"]);
  assert.deepEqual(differencesOf(ids("xa"), ids("anb")).rows.keys, ["x", "n", "b"]);
});

test("rows without an id are told apart by a text, or by their place", () => {
  const then = [
    { n: 3, owner: "ann" },
    { n: 1, owner: "bob" },
  ];
  const now = [
    { n: 3, owner: "ann" },
    { n: 9, owner: "al" },
    { n: 2, owner: "bob" },
  ];
  assert.deepEqual([...differencesOf(then, now).marks], [["al", "added"], ["bob", "changed"]]);
  const numbers = differencesOf([{ n: 1 }], [{ n: 2 }, { n: 3 }]);
  assert.deepEqual([...numbers.marks.values()], ["changed", "added"]);
});

test("any other values are compared leaf by leaf", () => {
  const found = differencesOf({ a: { b: [1, 2] }, c: null }, { a: { b: [1, 5] }, d: "new" });
  assert.deepEqual(
    found.rows.records.map((row) => [row["±"], row.where, row.value]),
    [
      ["changed", "a.b[1]", "2 → 5"],
      ["removed", "c", null],
      ["added", "d", "new"],
    ],
  );
  assert.deepEqual(differencesOf(12, 15).rows.records[0]?.value, "12 → 15");
  assert.equal(differencesOf([], []).rows.count, 0);
});

test("two moments read from the earlier to the later", () => {
  const [nine, ten] = [new Date(2026, 10, 23, 9), new Date(2026, 10, 23, 10)].map(Number);
  assert.equal(spanText(null, null), "now");
  assert.equal(spanText(nine as number, null), "2026-11-23 09:00:00 → now");
  assert.equal(spanText(ten as number, nine as number), "2026-11-23 09:00:00 → 10:00:00");
});
