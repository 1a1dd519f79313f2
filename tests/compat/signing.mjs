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

// When a token ends, in ms since 1970.
const endOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).exp * 1000;
const ended = (token) =>
  new Promise((done) => setTimeout(done, endOf(token) - Date.now() + 100));

// Ann signs in with a token of three seconds, which the first renewal leaves as it is.
// It must not end before it is believed: npm gives up a token that comes back refused.
const signInBriefly = async (client) => {
  const forced = [];
  const short = await mint({ sub: "ann", seconds: "3" });
  await new Promise((confirmed) =>
    client.setAuth(({ forceRefreshToken }) => {
      forced.push(forceRefreshToken);
      return forced.length < 3 ? short : mint({ sub: "ann" });
    }, confirmed),
  );
  return { forced, short };
};

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
    const { forced, short } = await signInBriefly(client);
    await ended(short);
    const claimed = await client.mutation(users.claim, {});
    return { claimed, forced, claims: await client.query(users.claims, {}) };
  },

  // The token ends while a query is followed; somebody else's write is shown all the same.
  async followed(client) {
    const { forced, short } = await signInBriefly(client);
    const claims = [];
    client.onUpdate(users.claims, {}, (value) => claims.push(value));
    const before = await client.query(users.claims, {});
    await ended(short);
    await new ConvexHttpClient(url).mutation(users.claim, {});
    await new Promise((done) => client.onUpdate(users.claims, {}, (n) => n > before && done()));
    return { forced, before, claims, me: await client.query(users.me, {}) };
  },

  // Tokens of three seconds, each renewed after one, while a query is followed.
  async renewals() {
    const options = { logger: false, authRefreshTokenLeewaySeconds: 3602 };
    const page = new ConvexClient(url, options);
    const [seen, changes] = [[], []];
    let first, fetched = 0;
    await new Promise((enough) => {
      page.setAuth(
        async () => {
          const token = await mint({ sub: "ann", seconds: "3" });
          first ??= token;
          if (++fetched > 3 && endOf(first) < Date.now()) enough();
          return token;
        },
        (isAuthenticated) => changes.push(isAuthenticated),
      );
      page.onUpdate(users.me, {}, (value) => seen.push(value));
    });
    const claimed = await page.mutation(users.claim, {});
    await page.close();
    return { seen, changes, claimed };
  },

  // One user after another at one page, and nobody in the end.
  async turns(client) {
    const [seen, claimed] = [[], []];
    client.onUpdate(users.me, {}, (value) => seen.push(value));
    await until(client, () => true);
    for (const sub of ["ann", "bob", null]) {
      if (sub) client.setAuth(() => mint({ sub }));
      else client.client.clearAuth();
      await until(client, (value) => value === sub);
      claimed.push(await client.mutation(users.claim, {}));
    }
    return { seen, claimed };
  },

  // The owner acts as one user and as another, then as who is signed in.
  async acting(client) {
    const key = process.env.CONVEX_ADMIN_KEY;
    const as = (subject) => ({ issuer: "https://id", subject, name: `${subject}!` });
    const http = new ConvexHttpClient(url);
    const said = [];
    for (const subject of ["ann", "bob"]) {
      client.setAdminAuth(key, as(subject));
      http.setAdminAuth(key, as(subject));
      await until(client, (value) => value === subject);
      said.push((await client.query(users.identity, {})).name);
      said.push(await client.mutation(users.claim, {}), await http.query(users.me, {}));
    }
    client.setAdminAuth(key);
    await until(client, (value) => value === null);
    client.setAuth(() => mint({ sub: "eve" }));
    await until(client, (value) => value === "eve");
    return { said, claimed: await client.mutation(users.claim, {}) };
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
