import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesText } from "../lab/sidebar/bytes.ts";
import { behindText, COUNTED_BEHIND, type DerivedIndex, sizeOf } from "../lab/sidebar/following.ts";

const said = (more: Partial<DerivedIndex>): DerivedIndex => ({
  name: "columnar",
  lagSeconds: 0,
  documentsBehind: 0,
  building: null,
  buildingPercent: null,
  failure: null,
  ...more,
});

test("a derived index is behind by documents, else by time, else not", () => {
  assert.equal(behindText(said({ lagSeconds: 0.04 })), "no");
  assert.equal(behindText(said({ lagSeconds: 1.25 })), "1.3 s");
  assert.equal(behindText(said({ lagSeconds: 1.25, documentsBehind: 1200 })), "1,200");
  assert.equal(behindText(said({ documentsBehind: COUNTED_BEHIND })), "10,000 or more");
  assert.equal(behindText(said({ wanted: 3 })), "3 to embed");
  const begins = said({ documentsBehind: null, building: "tasks", buildingPercent: 40 });
  assert.equal(behindText(begins), "builds tasks: 40 %");
});

test("each kind of derived index says in its own words what it holds", () => {
  const parts = [
    { table: "a", index: "by_text", texts: 2 },
    { table: "b", index: "by_v", vectors: 3 },
  ];
  assert.equal(sizeOf(said({ documents: 7 })), 7);
  assert.equal(sizeOf(said({ embedded: 5 })), 5);
  assert.equal(sizeOf(said({ indexes: parts })), 5);
  assert.equal(sizeOf(said({})), undefined);
});

test("bytes are said as people say them", () => {
  assert.equal(bytesText(999), "999 bytes");
  assert.equal(bytesText(12_340_000), "12.3 MB");
  assert.equal(bytesText(104_000_000), "104 MB");
});
