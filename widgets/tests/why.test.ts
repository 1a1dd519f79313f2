import assert from "node:assert/strict";
import { test } from "node:test";
import { clockAhead, partsOf, type Story, wordsOf } from "../src/why.ts";

const STORY: Story = {
  cause: { mutations: ["tasks:update"], commits: 1, commitMs: 4, runMs: 2 },
  documentsRead: 1,
  functionMs: 1.26,
  knownAt: 1_000,
  now: 1_050,
};

test("the parts add up to the time from sending to painting", () => {
  const parts = partsOf(STORY, { received: 1_003, painted: 1_010 }, 1_049, 1_051) ?? [];
  assert.deepEqual(
    parts.map(({ name, ms }) => [name, ms]),
    [
      ["commit", 4],
      ["run", 2],
      ["send", 3],
      ["paint", 7],
    ],
  );
});

test("a deployment's clock may be another one", () => {
  assert.equal(clockAhead(1_050, 1_040, 1_070), 0, "zero is possible");
  assert.equal(clockAhead(6_050, 1_040, 1_060), 5_000);
  const ahead = { ...STORY, knownAt: 6_000, now: 6_050 };
  const parts = partsOf(ahead, { received: 1_003, painted: 1_010 }, 1_049, 1_051) ?? [];
  assert.equal(parts[2]?.ms, 3);
});

test("a newer run with the same result has sent nothing", () => {
  assert.equal(partsOf(STORY, { received: 900, painted: 910 }, 1_049, 1_051), null);
});

test("what was there before we asked was painted, and nothing else is known", () => {
  const begun = { ...STORY, cause: null };
  const parts = partsOf(begun, { received: 1_003, painted: 1_010 }, 1_049, 1_051) ?? [];
  assert.deepEqual(parts.map(({ name }) => name), ["paint"]);
  assert.match(wordsOf(begun), /^as it was when it was first asked for/);
});

test("words name the mutations, and how many went with them", () => {
  assert.equal(wordsOf(STORY), "changed by tasks:update · 1 document read in 1.3 ms");
  const cause = { mutations: ["a:b", "c:d"], commits: 9, commitMs: 1, runMs: 1 };
  assert.match(wordsOf({ ...STORY, cause }), /^changed by a:b, c:d and 7 other commits at once/);
});
