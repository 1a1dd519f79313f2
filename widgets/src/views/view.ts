/** A view: one element that draws values, one after another. */
import type { Value } from "convex/values";

/** What stands on a panel's stage. */
export interface Standing {
  readonly element: HTMLElement;
  /** What one can do with it: buttons for the panel's bar. */
  readonly tools?: HTMLElement;
  /** What the foot says of it: "showing 8 of 8 rows". */
  summary(): string;
}

export interface View extends Standing {
  /** Draws a value over the last one, moving nothing that need not move. */
  draw(value: Value): void;
  /** Turns to a moment (in milliseconds since 1970), or to now: where it reads its own rows. */
  at?(moment: number | null): void;
}
