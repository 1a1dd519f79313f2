/** The comparison: what differs between two moments of a query, as a table. */
import type { Value } from "convex/values";
import { tell } from "../dom.ts";
import { Grid } from "../table/grid.ts";
import { nextSorting, type Sorting } from "../table/rows.ts";
import type { Compared } from "./contract.ts";
import { type Differences, differencesOf, type Mark } from "./differences.ts";

const MARKS: readonly Mark[] = ["added", "removed", "changed"];

export class Comparison implements Compared {
  readonly element: HTMLElement;
  readonly #grid: Grid;
  #found: Differences = differencesOf([], []);
  #sorting: Sorting | null = null;

  constructor(signal: AbortSignal) {
    this.#grid = new Grid({ sort: (column) => this.#sort(column) }, signal);
    this.element = this.#grid.element;
    this.element.classList.add("comparison");
  }

  /** Draws what became of the one value until the other. */
  draw(then: Value, now: Value): void {
    this.#found = differencesOf(then, now);
    this.#grid.update(this.#shown);
  }

  /** `2 added · 1 changed · 1,197 the same`. */
  summary(): string {
    const { marks, same } = this.#found;
    const text = (n: number, what: string) => `${n.toLocaleString("en")} ${what}`;
    const counts = MARKS.map((mark) => {
      const n = [...marks.values()].filter((each) => each === mark).length;
      return n > 0 ? text(n, mark) : "";
    });
    return [...counts.filter((count) => count), text(same, "the same")].join(" · ");
  }

  get #shown() {
    const { rows, columns, markAt } = this.#found;
    return { rows: rows.sorted(this.#sorting), columns, sorting: this.#sorting, markAt };
  }

  #sort(column: string): void {
    this.#sorting = nextSorting(this.#sorting, column);
    this.#grid.replace(this.#shown);
    tell(this.element, "summary");
  }
}
