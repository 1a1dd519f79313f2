// The official npm client signing in with real tokens: `node signing.mjs SCENARIO`,
// with CONVEX_URL and ISSUER_URL in the environment. Prints its outcome as JSON.

import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";

const url = process.env.CONVEX_URL;
const { users } = anyApi;

const mint = async (claims) => {
  const query = new URLSearchParams(claims);
  return (await fetch(`${process.env.ISSUER_URL}/mint?${query}`)).text();
};

// Resolves once `client` has heard a value of `users.me` that satisfies `enough`.
const until = (client, enough) =>
  new Promise((done) => {
    const stop = client.onUpdate(users.me, {}, (value) => {
      if (!enough(value)) return;
      queueMicrotask(() => stop());
      done(value);
    });
  });

const scenarios = {
  // Signs in, has the token renewed, asks who they are, signs out.
  async signIn(client) {
    const seen = [];
    client.onUpdate(users.me, {}, (value) => seen.push(value));
    await until(client, () => true);
    const changes = [];
    const forced = [];
    client.setAuth(
      ({ forceRefreshToken }) => {
        forced.push(forceRefreshToken);
        return mint({ sub: "ann", given_name: "Ann" });
      },
      (isAuthenticated) => changes.push(isAuthenticated),
    );
    await until(client, (value) => value === "ann");
    const identity = await client.query(users.identity, {});
    const claimed = await client.mutation(users.claim, {});
    client.client.clearAuth();
    await until(client, (value) => value === null);
    return { seen, changes, forced, identity, claimed };
  },

  // The token ends while nothing happens; what is asked then runs once, renewed.
  async expiry(client) {
    const forced = [];
    const short = await mint({ sub: "ann", seconds: "1" });
    const confirmed = new Promise((done) =>
      client.setAuth(({ forceRefreshToken }) => {
        forced.push(forceRefreshToken);
        return forced.length < 3 ? short : mint({ sub: "ann" });
      }, done),
    );
    await confirmed;
    const ends = JSON.parse(Buffer.from(short.split(".")[1], "base64url")).exp * 1000;
    await new Promise((done) => setTimeout(done, ends - Date.now() + 100));
    const claimed = await client.mutation(users.claim, {});
    return { claimed, forced, claims: await client.query(users.claims, {}) };
  },

  // A token signed by somebody else: as often as npm tries, then as nobody.
  async forged(client) {
    let fetched = 0;
    const changed = new Promise((done) =>
      client.setAuth(() => {
        fetched += 1;
        return mint({ sub: "ann", name: "forged" });
      }, done),
    );
    return { changed: await changed, fetched, me: await client.query(users.me, {}) };
  },

  async http() {
    const http = new ConvexHttpClient(url);
    http.setAuth(await mint({ sub: "ann" }));
    const me = await http.query(users.me, {});
    http.setAuth("bad");
    const bad = await http.query(users.me, {}).catch((error) => error.message);
    http.clearAuth();
    return { me, bad: JSON.parse(bad).code, nobody: await http.query(users.me, {}) };
  },
};

const client = new ConvexClient(url, { logger: false });
console.log(JSON.stringify(await scenarios[process.argv[2]](client)));
await client.close();
process.exit(0);
