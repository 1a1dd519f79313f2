import assert from "node:assert/strict";
import { test } from "node:test";
import type { ViewSpec } from "../src/spec.ts";
import { chooseView } from "../src/views/choose.ts";

const auto: ViewSpec = { kind: "auto" };
const table: ViewSpec = { kind: "table", columns: null, edit: null };

test("a value shows itself by what it holds", () => {
  assert.equal(chooseView(auto, [{ a: 1 }]), "table");
  assert.equal(chooseView(auto, []), "table");
  assert.equal(chooseView(auto, { _id: "x" }), "card");
  assert.equal(chooseView(auto, 3), "metric");
  assert.equal(chooseView(auto, 3n), "metric");
  assert.equal(chooseView(auto, { a: 1 }), "tree");
  assert.equal(chooseView(auto, [1, 2]), "tree");
  assert.equal(chooseView(auto, null), "tree");
});

test("a view that does not fit the value gives way to the tree", () => {
  assert.equal(chooseView(table, [{ a: 1 }]), "table");
  assert.equal(chooseView(table, null), "tree");
  assert.equal(chooseView({ kind: "card" }, [1]), "tree");
  assert.equal(chooseView({ kind: "metric", field: null, label: null }, { a: 1 }), "metric");
});
