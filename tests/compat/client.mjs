// The official npm client, asked to do one thing: `node client.mjs SCENARIO`, with
// CONVEX_URL in the environment. Prints one JSON object a line, the outcome last.

import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { anyApi } from "convex/server";
import { ConvexError } from "convex/values";
import { WebSocket } from "ws";

const url = process.env.CONVEX_URL;
const { counter, fail, log, messages, users, values, secret, slow } = anyApi;

const say = (object) => console.log(JSON.stringify(object, encode));
const encode = (_key, value) =>
  typeof value === "bigint"
    ? `${value}n`
    : value instanceof ArrayBuffer
      ? `bytes ${Buffer.from(value).toString("hex")}`
      : Object.is(value, -0)
        ? "-0"
        : typeof value === "number" && !Number.isFinite(value)
          ? `${value}`
          : value;

// Errors inside the WebSocket handler reject nothing: they end up here.
process.on("uncaughtException", (error) => {
  say({ uncaught: `${error}` });
  process.exit(2);
});

// The next line that the test writes.
const told = () => new Promise((done) => process.stdin.once("data", done));

// Resolves once `client` has heard a value of `query` that satisfies `enough`.
const until = (client, query, args, enough, seen = []) =>
  new Promise((done, failed) => {
    const stop = client.onUpdate(
      query,
      args,
      (value) => {
        seen.push(value);
        if (enough(value)) {
          queueMicrotask(() => stop());
          done(seen);
        }
      },
      failed,
    );
  });

// A WebSocket for a client, and what resolves once the client knows that it is open.
const openable = () => {
  let tell;
  const opened = new Promise((done) => {
    tell = () => setTimeout(done);
  });
  class Openable extends WebSocket {
    constructor(...args) {
      super(...args);
      this.once("open", tell);
    }
  }
  return { opened, webSocketConstructor: Openable };
};

const failure = async (promise) => {
  try {
    return { value: await promise };
  } catch (error) {
    const isConvexError = error instanceof ConvexError;
    return { isConvexError, data: isConvexError ? error.data : null, message: error.message };
  }
};

// A token that looks like one, for a deployment that believes it.
const token = (claims) => {
  const now = Math.floor(Date.now() / 1000);
  const part = (object) => Buffer.from(JSON.stringify(object)).toString("base64url");
  return [{ alg: "none" }, { iat: now, exp: now + 3600, iss: "https://id", ...claims }].map(part).join(".") + ".x";
};

const scenarios = {
  // A query, a mutation and an action; a missing one of each.
  async calls(client) {
    return {
      before: await client.query(counter.get, {}),
      written: await client.mutation(counter.inc, { by: 2 }),
      after: await client.query(counter.get, {}),
      action: await client.action(anyApi.ai.run, {}),
      deep: await client.query(anyApi.dir.deep.get, {}),
      noQuery: await failure(client.query(anyApi.no.such, {})),
      noMutation: await failure(client.mutation(anyApi.no.such, {})),
    };
  },

  // A mutation's promise resolves though nothing is followed.
  async mutationAlone(client) {
    return { values: [await client.mutation(counter.inc, {}), await client.mutation(counter.inc, {})] };
  },

  // Updates arrive in order, and end on the last state.
  async subscription(client) {
    const seen = [];
    const done = until(client, counter.get, {}, (value) => value === 20, seen);
    await Promise.all(Array.from({ length: 20 }, () => client.mutation(counter.inc, {})));
    await done;
    return { seen };
  },

  // An optimistic update is replaced by its own effect, never added to it.
  async optimistic(client) {
    const seen = [];
    client.onUpdate(counter.get, {}, (value) => seen.push(value));
    await until(client, counter.get, {}, () => true);
    const optimisticUpdate = (store) => {
      const value = store.getQuery(counter.get, {});
      if (value !== undefined) store.setQuery(counter.get, {}, value + 1);
    };
    const results = [];
    for (let n = 0; n < 5; n++) {
      results.push(await client.mutation(counter.inc, {}, { optimisticUpdate }));
      results.push(client.client.localQueryResult("counter:get", {}));
    }
    return { seen, results };
  },

  // Two queries that one commit changes are never seen apart.
  async together(client) {
    const torn = [];
    const look = () => {
      const one = client.client.localQueryResult("counter:get", {});
      const two = client.client.localQueryResult("counter:double", {});
      if (one !== undefined && two !== undefined && two !== 2 * one) torn.push([one, two]);
    };
    client.onUpdate(counter.get, {}, look);
    client.onUpdate(counter.double, {}, look);
    await until(client, counter.double, {}, () => true);
    for (let n = 0; n < 10; n++) await client.mutation(counter.inc, {});
    await until(client, counter.double, {}, (value) => value === 20);
    return { torn };
  },

  // What is found while somebody types, and page after page of it; then one more comes.
  async search(client) {
    const { docs } = anyApi;
    const typed = [];
    for (const text of ["b", "bl", "blue", "blue sk"]) {
      typed.push(await client.query(docs.find, { text }));
    }
    const seen = [];
    // Not what was typed last: of a query that it still unfollows the client knows the value,
    // and hears it again as the new one's.
    const live = { text: "blue  sk" };
    const found = until(client, docs.find, live, (list) => list.length === 3, seen);
    await client.mutation(docs.add, { body: "red" });
    await client.mutation(docs.add, { body: "skating" });
    await found;
    let cursor = null;
    const pages = [];
    do {
      const paginationOpts = { numItems: 2, cursor };
      const page = await client.query(docs.page, { text: "blue sk", paginationOpts });
      pages.push(page.page.map((doc) => doc.body));
      cursor = page.isDone ? null : page.continueCursor;
    } while (cursor !== null);
    return { typed, seen, pages, near: await client.action(docs.near, {}) };
  },

  // Page after page of messages that are there, then one more that is written meanwhile.
  async pages(client) {
    const seen = [];
    let reached;
    const options = { initialNumItems: 2 };
    const stop = client.onPaginatedUpdate_experimental(messages.page, {}, options, (list) => {
      seen.push([list.status, list.results.map((message) => message.body)]);
      reached?.(list);
    });
    const next = (status) =>
      new Promise((done) => (reached = (list) => list.status === status && done(list)));
    (await next("CanLoadMore")).loadMore(2);
    await next("Exhausted");
    await client.mutation(messages.send, { body: "new" });
    const { results } = stop.getCurrentValue();
    stop();
    return { seen, now: results.map((message) => message.body) };
  },

  async failures(client) {
    return {
      plain: await failure(client.query(fail.query, {})),
      data: await failure(client.query(fail.query, { data: { code: 7n } })),
      nothing: await failure(client.mutation(fail.mutation, { data: null })),
      mutation: await failure(client.mutation(fail.mutation, { data: { code: 7n } })),
      still: await client.query(counter.get, {}),
    };
  },

  async actionFailure(client) {
    return failure(client.action(fail.action, { data: "x" }));
  },

  async logs(client) {
    const lines = [];
    console.log = (...parts) => lines.push(parts.join(" "));
    await client.query(log.query, {});
    console.log = (text) => process.stdout.write(`${text}\n`);
    return { lines };
  },

  // What a deployment in production says of functions that fail, and of what they print.
  async redacted(client) {
    const lines = [];
    const shown = console.log;
    console.log = (...parts) => lines.push(parts.join(" "));
    const said = {
      query: await failure(client.query(fail.query, {})),
      mutation: await failure(client.mutation(fail.mutation, {})),
      action: await failure(client.action(fail.action, {})),
      carried: await failure(client.mutation(fail.mutation, { data: { code: 7n } })),
    };
    console.log = shown;
    return { ...said, lines };
  },

  // Everything that a value may be, there and back.
  async values(client) {
    const value = {
      nothing: null,
      yes: true,
      float: 1.5,
      whole: 3,
      big: 9007199254740993n,
      minus: -1n,
      zero: -0,
      nan: NaN,
      infinite: -Infinity,
      text: "snow ☃ 𝄞",
      bytes: new Uint8Array([0, 255]).buffer,
      list: [1, [2n], { a: [] }],
      empty: {},
    };
    const http = new ConvexHttpClient(url);
    return {
      sent: value,
      query: await client.query(values.same, { value }),
      mutation: await client.mutation(values.echo, { value }),
      httpQuery: await http.query(values.same, { value }),
      httpMutation: await http.mutation(values.echo, { value }),
    };
  },

  // Arguments that are no values fail the call, not the connection.
  async refused(client) {
    const deep = (depth) => (depth ? [deep(depth - 1)] : 1);
    const send = (value) => failure(client.client.mutation("values:echo", { value }));
    return {
      surrogate: await send("\ud800"),
      long: await send(Array(8193).fill(0)),
      deep: await send(deep(80)),
      large: (await failure(client.mutation(values.echo, { value: "x".repeat(17 << 20) }))).message.slice(0, 200),
      still: await client.query(counter.get, {}),
    };
  },

  // A query asked through the socket, and over HTTP.
  async bothWays(client) {
    const n = await client.query(counter.get, {});
    return { n, http: await new ConvexHttpClient(url).query(counter.get, {}) };
  },

  // Asked twice, a consistent query does not see what was written between.
  async consistent() {
    const http = new ConvexHttpClient(url);
    return {
      first: await http.consistentQuery(counter.get, {}),
      written: await http.mutation(counter.inc, {}),
      consistent: await http.consistentQuery(counter.get, {}),
      now: await http.query(counter.get, {}),
    };
  },

  // Queries come and go in one burst; what is left at the end.
  async burst(client) {
    const values = [];
    const stops = [counter.get, counter.double, counter.get].map((query, at) =>
      client.onUpdate(query, {}, (value) => (values[at] = value)),
    );
    stops[0]();
    client.onUpdate(counter.get, {}, (value) => (values[0] = value));
    await until(client, counter.double, {}, () => true);
    const n = await client.query(counter.get, {});
    return { values, n };
  },

  // A value whose JSON is twice as long: more than a frame that every client takes.
  async quotes(client) {
    const value = await client.query(values.quotes, { size: 9 << 20 });
    return { length: value.length };
  },

  async big(client) {
    const value = await client.query(values.big, { size: Number(process.env.SIZE ?? 17 << 20) });
    return { length: value.length };
  },

  // Says when it follows; the test then ends the connection and writes.
  async reconnect(client) {
    const seen = [];
    const done = until(client, counter.get, {}, (value) => value === 5, seen);
    await until(client, counter.get, {}, () => true);
    say({ ready: true });
    await done;
    return { seen };
  },

  // Mutations in flight when the connection ends run once and resolve once.
  async replay(client) {
    await until(client, counter.get, {}, () => true);
    const seen = [];
    client.onUpdate(counter.get, {}, (value) => seen.push(value));
    const optimisticUpdate = (store) => {
      const value = store.getQuery(counter.get, {});
      if (value !== undefined) store.setQuery(counter.get, {}, value + 1);
    };
    const results = Promise.all([
      client.mutation(counter.inc, {}, { optimisticUpdate }),
      client.mutation(counter.inc, {}),
    ]);
    say({ ready: true });
    return { results: await results, local: client.client.localQueryResult("counter:get", {}), seen };
  },

  // Mutations one after another, whatever happens to the connection meanwhile.
  async stubborn(client) {
    await until(client, counter.get, {}, () => true);
    const all = Array.from({ length: 30 }, () => client.mutation(counter.inc, {}));
    await all[0];
    say({ ready: true });
    return { results: await Promise.all(all) };
  },

  // A token that nobody vouches for: the client gives up and goes on as nobody.
  async badToken(client) {
    const changes = [];
    const over = new Promise((done) =>
      client.setAuth(
        async () => "a.b.c",
        (isAuthenticated) => {
          changes.push(isAuthenticated);
          done();
        },
      ),
    );
    await over;
    return { changes, value: await client.query(counter.get, {}) };
  },

  async admin(client) {
    const before = await failure(client.query(secret.query, {}));
    const owner = new ConvexClient(url);
    owner.client.setAdminAuth(process.env.CONVEX_ADMIN_KEY);
    const asAdmin = await owner.query(secret.query, {});
    owner.client.setAdminAuth(process.env.CONVEX_ADMIN_KEY, { issuer: "https://id", subject: "ann" });
    const me = await owner.query(users.me, {});
    await owner.close();
    return { before: before.message, asAdmin, me };
  },

  // A user signs in, their token is renewed, they sign out.
  async signIn(client) {
    const seen = [];
    client.onUpdate(users.me, {}, (value) => seen.push(value));
    await until(client, users.me, {}, () => true);
    let fetched = 0;
    const changes = [];
    client.setAuth(
      async () => token({ sub: "ann", number: fetched++ }),
      (isAuthenticated) => changes.push(isAuthenticated),
    );
    await until(client, users.me, {}, (value) => value === "ann");
    await client.mutation(users.claim, {});
    client.client.clearAuth();
    await until(client, users.me, {}, (value) => value === null);
    return { seen, changes, fetched };
  },

  // Authenticated late, a client may never send its Connect.
  async lateAuth() {
    const { opened, webSocketConstructor } = openable();
    const late = new ConvexClient(url, { expectAuth: true, webSocketConstructor });
    await opened;
    const shown = process.env.TOKEN ?? token({ sub: "ann" });
    const confirmed = new Promise((done) => late.setAuth(async () => shown, done));
    const result = {
      confirmed: await confirmed,
      written: await late.mutation(counter.inc, {}),
      me: await late.query(users.me, {}),
    };
    await late.close();
    return result;
  },

  async http() {
    const http = new ConvexHttpClient(url);
    const first = await http.consistentQuery(counter.get, {});
    const written = await http.mutation(counter.inc, {});
    const result = {
      first,
      written,
      consistent: await http.consistentQuery(counter.get, {}),
      now: await http.query(counter.get, {}),
      plain: await failure(http.query(fail.query, {})),
      data: await failure(http.mutation(fail.mutation, { data: { code: 7n } })),
      action: await http.action(anyApi.ai.run, {}),
    };
    http.setAdminAuth(process.env.CONVEX_ADMIN_KEY, { issuer: "https://id", subject: "ann" });
    result.me = await http.query(users.me, {});
    return result;
  },

  // Many pages in one process follow one query; says how long after each is told.
  async many() {
    const count = Number(process.env.CLIENTS ?? 50);
    const clients = Array.from({ length: count }, () => new ConvexClient(url));
    await Promise.all(clients.map((one) => until(one, counter.get, {}, () => true)));
    const done = clients.map((one) => until(one, counter.get, {}, (value) => value === 1));
    await clients[0].mutation(counter.inc, {});
    await Promise.all(done);
    await Promise.all(clients.map((one) => one.close()));
    return { count };
  },

  // An action is under way when the connection ends: it fails here, and goes on there.
  async inFlight(client) {
    const { get, inc } = anyApi.points;
    const name = process.env.NAME;
    const outcome = failure(client.action(anyApi.ai.wait, { name }));
    await until(client, get, { name }, (value) => value === 1);
    say({ ready: true });
    const failed = await outcome;
    await client.mutation(inc, { name: `${name} may end` });
    return { failed: failed.message, runs: await client.query(get, { name }) };
  },

  // Follows what nobody changes.
  async idle(client) {
    client.onUpdate(anyApi.dir.deep.get, {}, (value) => say({ value }));
    await told();
  },

  // Follows until told to stop; each value on a line.
  async watch(client) {
    client.onUpdate(messages.list, {}, (value) => say({ value }));
    await told();
    return { stopped: true };
  },

  async unsubscribe(client) {
    const seen = [];
    const stop = client.onUpdate(counter.get, {}, (value) => seen.push(value));
    await until(client, counter.get, {}, () => true);
    stop();
    await client.mutation(counter.inc, {});
    const again = await until(client, counter.get, {}, () => true);
    return { seen, again };
  },

  async slow(client) {
    const seen = await until(client, slow.get, {}, () => true);
    return { seen };
  },
};

const client = new ConvexClient(url, { logger: process.env.QUIET ? false : undefined });
say(await scenarios[process.argv[2]](client));
await client.close();
process.exit(0);
