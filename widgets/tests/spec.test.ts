import assert from "node:assert/strict";
import { test } from "node:test";
import { readSpec, SpecError } from "../src/spec.ts";

test("wire arguments become values", () => {
  const spec = readSpec({ path: "m:f", args: { n: 5.0, big: { $integer: "AQAAAAAAAAA=" } } });
  assert.deepEqual(spec.args, { n: 5, big: 1n });
  assert.equal(spec.deployment, "local");
});

test("a view is read with its options", () => {
  const view = (said: unknown) => readSpec({ path: "m:f", view: said }).view;
  assert.deepEqual(view({ kind: "table", columns: ["a"] }), {
    kind: "table",
    columns: ["a"],
    edit: null,
  });
  assert.deepEqual(view({ kind: "metric", field: "n" }), {
    kind: "metric",
    field: "n",
    label: null,
  });
  assert.deepEqual(view({ kind: "card" }), { kind: "card" });
});

test("an unknown view is chosen by what the value holds", () => {
  assert.deepEqual(readSpec({ path: "m:f", view: { kind: "globe" } }).view, { kind: "auto" });
  assert.deepEqual(readSpec({ path: "m:f" }).view, { kind: "auto" });
});

test("an output that names no query says so", () => {
  assert.throws(() => readSpec(null), SpecError);
  assert.throws(() => readSpec({ path: "" }), SpecError);
  assert.throws(() => readSpec({ path: "m:f", args: [1] }), SpecError);
});
