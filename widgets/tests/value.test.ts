import assert from "node:assert/strict";
import { test } from "node:test";
import { full, kindOf, preview, sameValue, timeText } from "../src/value.ts";

test("a whole float reads as an integer", () => {
  assert.equal(preview(2013.0), "2013");
  assert.equal(preview(-0), "-0");
  assert.equal(preview(1e21), "1e+21");
});

test("binary noise is left out of a cell and kept in its whole text", () => {
  assert.equal(preview(0.1 + 0.2), "0.3");
  assert.equal(preview(Number.NaN), "NaN");
  assert.equal(preview(Number.NEGATIVE_INFINITY), "-Infinity");
});

test("missing, null and the empty string are three things", () => {
  assert.deepEqual(
    [undefined, null, ""].map((value) => kindOf(value)),
    ["missing", "null", "string"],
  );
  assert.deepEqual(
    [undefined, null, ""].map((value) => preview(value)),
    ["", "null", ""],
  );
});

test("every kind of value has its name", () => {
  assert.equal(kindOf(1n), "int64");
  assert.equal(kindOf(true), "boolean");
  assert.equal(kindOf(new ArrayBuffer(2)), "bytes");
  assert.equal(kindOf([1]), "array");
  assert.equal(kindOf({ a: 1 }), "object");
  assert.equal(kindOf("j571x5rpnkqt6y98ak9b9g3hk96znd3s"), "id");
  assert.equal(kindOf("a sentence that is as long as an"), "string");
});

test("only a creation time is a time", () => {
  assert.equal(kindOf(1795335531697, "_creationTime"), "time");
  assert.equal(kindOf(1795335531697, "due"), "number");
  assert.match(timeText(1795335531697), /^2026-11-2\d \d\d:\d\d:\d\d$/);
});

test("nested values read on one line", () => {
  assert.equal(preview({ city: "Oslo", at: [1, 2.5] }), '{city: "Oslo", at: [1, 2.5]}');
  assert.equal(preview([]), "[]");
  assert.equal(preview(new Uint8Array([1, 255]).buffer), "2 bytes: 01 ff");
});

test("a large value costs a short text", () => {
  const deep = { rows: Array.from({ length: 8192 }, (_, i) => ({ i, text: "x".repeat(1000) })) };
  assert.ok(preview(deep).length <= 120);
  assert.ok(preview("x".repeat(1_000_000)).length <= 120);
  assert.match(preview(Array.from({ length: 40 }, () => 1)), /…\]$/);
});

test("the whole text keeps every digit, int64 and bytes", () => {
  assert.equal(full(9007199254740993n), "9007199254740993");
  assert.equal(full("a\nb"), "a\nb");
  assert.match(full({ n: 1n }), /\$integer/);
});

test("values are the same by content", () => {
  assert.ok(sameValue({ a: [1, null] }, { a: [1, null] }));
  assert.ok(!sameValue({ a: 1 }, { a: 1n }));
  assert.ok(!sameValue(undefined, null));
});
