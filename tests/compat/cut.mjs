// An official npm client whose connection keeps ending: `node cut.mjs CLASS`, with
// CONVEX_URL and COUNT in the environment. It sends messages in waves while it follows
// all messages; prints what its calls returned and how its own messages grew.

import { ConvexClient } from "convex/browser";
import { ConvexReactClient } from "convex/react";
import { anyApi } from "convex/server";

const WAVE = 5;
const url = process.env.CONVEX_URL;
const [name] = process.argv.slice(2);
const { messages } = anyApi;
const grew = [];

const note = (list) => grew.push(list.filter((body) => body.startsWith(name)).length);
const clients = {
  ConvexClient() {
    const client = new ConvexClient(url, { logger: false });
    client.onUpdate(messages.list, {}, note);
    return client;
  },
  ConvexReactClient() {
    const client = new ConvexReactClient(url, { logger: false });
    const watch = client.watchQuery(messages.list, {});
    watch.onUpdate(() => note(watch.localQueryResult()));
    return client;
  },
};

const client = clients[name]();
const ids = [];
for (let wave = 0; wave < process.env.COUNT; wave += WAVE) {
  const sent = Array.from({ length: WAVE }, (_, n) => client.mutation(messages.send, { body: `${name} ${wave + n}` }));
  ids.push(...(await Promise.all(sent)));
}
console.log(JSON.stringify({ ids, grew }));
process.exit(0);
