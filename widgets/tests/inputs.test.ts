import assert from "node:assert/strict";
import { test } from "node:test";
import { readControl } from "../src/controls/control.ts";
import { argumentsFor } from "../src/controls/upload.ts";
import { type Validator, validatorText } from "../src/inputs.ts";
import { SpecError } from "../src/spec.ts";

test("a validator reads as a schema writes it", () => {
  const text = (validator: Validator) => validatorText(validator);
  assert.equal(text({ type: "bigint" }), "int64");
  assert.equal(text({ type: "id", tableName: "tasks" }), "id of tasks");
  assert.equal(text({ type: "array", value: { type: "string" } }), "array of string");
  assert.equal(
    text({ type: "union", value: [{ type: "literal", value: "a" }, { type: "null" }] }),
    '"a" | null',
  );
});

test("a file goes into the arguments that take one", () => {
  const id: Validator = { type: "id", tableName: "_storage" };
  const field = (fieldType: Validator) => ({ fieldType, optional: false });
  const fields = { storageId: field(id), name: field({ type: "string" }) };
  const action = { path: "p:add", label: null, fields, args: { album: "x" } };
  const file = { name: "a.png", type: "image/png", size: 3 };
  assert.deepEqual(argumentsFor(action, "kg1", file), {
    album: "x",
    storageId: "kg1",
    name: "a.png",
  });
});

test("a control is told from a live result", () => {
  assert.equal(readControl({ path: "m:f" }), null);
  const button = readControl({ control: { kind: "button", path: "m:f", args: { n: 1 } } });
  assert.ok(button?.kind === "button");
  assert.deepEqual(button.action.args, { n: 1 });
  assert.throws(() => readControl({ control: { kind: "lever" } }), SpecError);
});
