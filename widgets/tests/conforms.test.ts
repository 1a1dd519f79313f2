import assert from "node:assert/strict";
import { test } from "node:test";
import type { Value } from "convex/values";
import { problemOf } from "../src/conforms.ts";
import type { Validator } from "../src/inputs.ts";

const field = (fieldType: Validator, optional = false) => ({ fieldType, optional });
const text: Validator = { type: "string" };
const bytes = new Uint8Array([1, 2]).buffer;

const OF_EACH_TYPE: readonly (readonly [Validator, Value, Value])[] = [
  [{ type: "null" }, null, 0],
  [{ type: "number" }, 1.5, 1n],
  [{ type: "bigint" }, 1n, 1],
  [{ type: "boolean" }, true, "true"],
  [text, "", null],
  [{ type: "bytes" }, bytes, "AQI="],
  [{ type: "literal", value: "a" }, "a", "b"],
  [{ type: "id", tableName: "tasks" }, "j97cgzr4tdj3ypc0000000000000000", 7],
  [{ type: "array", value: text }, ["a"], ["a", 1]],
  [{ type: "record", keys: text, values: field({ type: "number" }) }, { a: 1 }, { a: "1" }],
  [{ type: "object", value: { a: field(text), b: field(text, true) } }, { a: "" }, { b: "" }],
  [{ type: "union", value: [text, { type: "null" }] }, null, 1],
];

test("a value of each type passes, another does not", () => {
  for (const [validator, good, bad] of OF_EACH_TYPE) {
    assert.equal(problemOf(good, validator), null, validator.type);
    assert.notEqual(problemOf(bad, validator), null, validator.type);
  }
  assert.equal(problemOf(bytes, { type: "any" }), null);
});

test("what is wrong says where", () => {
  const tags: Validator = { type: "object", value: { tags: field({ type: "array", value: text }) } };
  assert.equal(problemOf({ tags: ["a", 2] }, tags), "tags[1] is number, and is to be string.");
  assert.equal(problemOf({}, tags), "tags is missing.");
  assert.equal(problemOf({ tags: [], more: 1 }, tags), "more is no field of this.");
  assert.equal(problemOf(1, text), "This is number, and is to be string.");
});
