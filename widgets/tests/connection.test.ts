import assert from "node:assert/strict";
import { test } from "node:test";
import { ConvexError } from "convex/values";
import { addressOf, pageAddress } from "../src/page.ts";
import { pauseBefore, withToken } from "../src/patience.ts";
import { failureOf } from "../src/socket.ts";
import { AuthenticationManager } from "../src/tokens.ts";

test("attempts to connect never lie two seconds apart", () => {
  for (let attempt = 0; attempt < 2000; attempt++) {
    for (const chance of [0, 0.5, 1]) assert.ok(pauseBefore(attempt, chance) < 2_000);
  }
  assert.ok(pauseBefore(0, 0.5) <= 300);
});

test("the token goes into the address only where there is one", () => {
  assert.equal(withToken("ws://h/a", null), "ws://h/a");
  assert.equal(
    withToken("ws://h/a/api/1.48.0/sync", "s&t"),
    "ws://h/a/api/1.48.0/sync?token=s%26t",
  );
});

test("the deployment is behind the server's base path", () => {
  assert.equal(addressOf("http://h/user/ann/", null).url, "http://h/user/ann/convex");
  assert.equal(addressOf("http://h", null).url, "http://h/convex");
});

const pageWith = (config: object | null) =>
  ({
    getElementById: () => (config ? { textContent: JSON.stringify(config) } : null),
    location: { href: "https://hub/user/ann/lab/tree/a.ipynb" },
  }) as unknown as Document;

test("a page of Jupyter's says where its server is", () => {
  assert.deepEqual(pageAddress(pageWith({ baseUrl: "/user/ann/", token: "t" })), {
    url: "https://hub/user/ann/convex",
    token: null,
  });
  assert.equal(
    pageAddress(pageWith({ baseUrl: "/", token: "t", appendToken: "true" }))?.token,
    "t",
  );
  assert.equal(pageAddress(pageWith(null)), null);
});

test("a failure is what the function said, without the client's wrapping", () => {
  const wrapped = new Error(
    "[CONVEX Q(m:f)] [Request ID: 1] Server Error\nUncaught X\n  Called by client",
  );
  assert.equal(failureOf(wrapped).message, "Uncaught X");
  assert.equal(failureOf(wrapped).data, undefined);
  assert.deepEqual(failureOf(new ConvexError({ code: 7 })).data, { code: 7 });
});

test("a key that was taken lets its requests go, one that was refused is shown no more", () => {
  const said: string[] = [];
  const keeper = new AuthenticationManager({
    isCurrentOrNewerAuthVersion: (version) => version >= 2,
    markAuthCompletion: () => said.push("taken"),
    hasAuth: () => true,
    clearAuth: () => said.push("cleared"),
  });
  const turn = (from: number, to: number) =>
    keeper.onTransition({ startVersion: { identity: from }, endVersion: { identity: to } });
  turn(1, 1);
  turn(0, 1); // of the key before
  assert.deepEqual(said, []);
  turn(1, 2);
  keeper.onAuthError({ baseVersion: 0 });
  assert.deepEqual(said, ["taken"]);
  keeper.onAuthError({ baseVersion: 1 });
  assert.deepEqual(said, ["taken", "cleared"]);
});
