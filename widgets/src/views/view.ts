/** A view: one element that draws values, one after another. */
import type { Value } from "convex/values";

export interface View {
  readonly element: HTMLElement;
  /** What one can do with the view: buttons for the panel's bar. */
  readonly tools?: HTMLElement;
  /** Draws a value over the last one, moving nothing that need not move. */
  draw(value: Value): void;
  /** What the foot says of the value: "showing 8 of 8 rows". */
  summary(): string;
}
