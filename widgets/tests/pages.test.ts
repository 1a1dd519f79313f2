import assert from "node:assert/strict";
import { test } from "node:test";
import type { Value } from "convex/values";
import { Pages } from "../src/pages.ts";
import type { Follower, Query, Source } from "../src/source.ts";
import { CallError } from "../src/source.ts";
import { isObject } from "../src/spec.ts";

interface Followed {
  readonly cursor: Value | undefined;
  readonly follower: Follower;
  readonly signal: AbortSignal;
}

function followed(): { list: Followed[]; source: Source } {
  const list: Followed[] = [];
  const follow = ({ args }: Query, follower: Follower, signal: AbortSignal) => {
    const opts = args.paginationOpts;
    list.push({ cursor: isObject(opts) ? opts.cursor : undefined, follower, signal });
  };
  return { list, source: { follow, followsAny: true } as unknown as Source };
}

function reading(source: Source) {
  const shown: Value[] = [];
  const follower = { value: (value: Value) => shown.push(value), failed() {}, link() {} };
  const query = { path: "t:list", args: { paginationOpts: { numItems: 2, cursor: null } } };
  return { shown, pages: new Pages(source, query, follower, new AbortController().signal) };
}

const page = (rows: number[], cursor: string, isDone = false): Value => ({
  page: rows,
  isDone,
  continueCursor: cursor,
});

test("pages are followed one after another and shown as one", () => {
  const { list, source } = followed();
  const { shown, pages } = reading(source);
  list[0]?.follower.value(page([1, 2], "a"));
  pages.more();
  pages.more();
  assert.deepEqual(
    list.map(({ cursor }) => cursor),
    [null, "a"],
  );
  list[1]?.follower.value(page([3], "end", true));
  assert.deepEqual(shown.at(-1), page([1, 2, 3], "end", true));
  pages.more();
  assert.equal(list.length, 2);
  list[0]?.follower.value(page([0, 1, 2], "a"));
  assert.deepEqual(shown.at(-1), page([0, 1, 2, 3], "end", true));
});

test("a page that ends elsewhere drops those behind it", () => {
  const { list, source } = followed();
  const { shown, pages } = reading(source);
  list[0]?.follower.value(page([1, 2], "a"));
  pages.more();
  list[1]?.follower.value(page([3], "b"));
  list[0]?.follower.value(page([1], "c"));
  assert.ok(list[1]?.signal.aborted);
  assert.deepEqual(shown.at(-1), page([1], "c"));
});

test("what is no page is passed on", () => {
  const { list, source } = followed();
  const { shown, pages } = reading(source);
  list[0]?.follower.value([1]);
  pages.more();
  assert.deepEqual(shown, [[1]]);
  assert.equal(list.length, 1);
});

test("a refusal that is a sentence is read as that sentence", () => {
  assert.equal(new CallError("Uncaught ConvexError: no\n File x", "no").message, "no");
  assert.equal(new CallError("boom", { code: 1 }).message, "boom");
});
