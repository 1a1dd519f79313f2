/** What the script of comparisons offers: it is loaded when two moments are first compared. */
import type { Value } from "convex/values";
import type { Standing } from "../views/view.ts";

export interface Compared extends Standing {
  /** Draws what became of the one value until the other. */
  draw(then: Value, now: Value): void;
}

export interface Comparing {
  comparison(signal: AbortSignal): Compared;
}
