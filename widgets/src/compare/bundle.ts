/** The script of comparisons: see the contract. */
import { Comparison } from "./comparison.ts";
import type { Compared } from "./contract.ts";

export { tableChanges } from "./tables.ts";

export function comparison(signal: AbortSignal): Compared {
  return new Comparison(signal);
}
