// A React page with the official hooks, asked to do one thing: `node react.mjs`, with
// CONVEX_URL in the environment. Prints what the page shows, one JSON object a line
// each time it changes; a line from the test presses the button.

import { ConvexProvider, ConvexReactClient, useMutation, usePaginatedQuery, useQuery } from "convex/react";
import { anyApi } from "convex/server";
import { createElement as h } from "react";
import { create } from "react-test-renderer";
import WebSocket from "ws";

const { counter, messages } = anyApi;

const say = (object) => console.log(JSON.stringify(object));

process.on("uncaughtException", (error) => {
  say({ uncaught: `${error}` });
  process.exit(2);
});

globalThis.IS_REACT_ACT_ENVIRONMENT = false;

function Page() {
  const n = useQuery(counter.get);
  const double = useQuery(counter.double);
  const skipped = useQuery(counter.get, "skip");
  const list = usePaginatedQuery(messages.page, {}, { initialNumItems: 2 });
  const press = useMutation(counter.inc).withOptimisticUpdate((store) => {
    const value = store.getQuery(counter.get, {});
    if (value !== undefined) store.setQuery(counter.get, {}, value + 1);
  });
  say({ n, double, skipped, status: list.status, bodies: list.results.map((message) => message.body) });
  return h("button", { press, more: () => list.loadMore(2) }, `${n}`);
}

const client = new ConvexReactClient(process.env.CONVEX_URL, { webSocketConstructor: WebSocket });
const page = create(h(ConvexProvider, { client }, h(Page)));
const button = () => page.root.findByType("button").props;

for await (const line of process.stdin.setEncoding("utf8").iterator()) {
  for (const word of line.trim().split("\n")) {
    if (word === "more") button().more();
    if (word === "press") button().press({ by: 1 }).then((pressed) => say({ pressed }), (failed) => say({ failed: `${failed}` }));
  }
}
