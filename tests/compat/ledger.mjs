// An official npm client that writes down what it does and sees: `node ledger.mjs`, with
// CONVEX_URL and FIRST in the environment. It appends numbers from FIRST on, and moves
// money, in waves, until a line comes from the test; then prints it all, oldest first.

import { ConvexClient } from "convex/browser";
import { anyApi } from "convex/server";

const WAVE = 4;
const { ledger } = anyApi;
const events = [];
const client = new ConvexClient(process.env.CONVEX_URL, { logger: false });

const shown = (name) => client.client.localQueryResult(`ledger:${name}`, {});
const look = () => {
  const [world, numbers, length] = ["world", "numbers", "length"].map(shown);
  if (world && numbers && length !== undefined) events.push({ ...world, numbers, length });
};
for (const query of [ledger.world, ledger.numbers, ledger.length]) client.onUpdate(query, {}, look);

const append = async (number) => {
  const verdict = await client.mutation(ledger.append, { number, fails: number % 5 === 0 }).then(
    () => "done",
    () => "refused",
  );
  events.push({ number, verdict });
};
const transfer = (n) =>
  client.mutation(ledger.transfer, { source: n % 4, target: (n + 1) % 4, amount: (n * 7) % 60 }).catch(() => null);

let stopped = false;
process.stdin.once("data", () => (stopped = true));
const first = Number(process.env.FIRST);
for (let n = first; !stopped; n += WAVE) {
  const wave = Array.from({ length: WAVE }, (_, at) => n + at);
  await Promise.all(wave.flatMap((number) => [append(number), transfer(number)]));
}
process.stdout.write(`${JSON.stringify({ events })}\n`, () => process.exit(0)); // all of it
