/** The comparison: what differs between two moments of a query, as a table. */
import type { Value } from "convex/values";
import { tell } from "../dom.ts";
import { Grid } from "../table/grid.ts";
import { nextSorting, type Sorting } from "../table/rows.ts";
import { count } from "../views/tree.ts";
import type { Compared, Counts } from "./contract.ts";
import { type Differences, differencesOf, type Mark } from "./differences.ts";

const MARKS: readonly Mark[] = ["added", "removed", "changed"];

export class Comparison implements Compared {
  readonly element: HTMLElement;
  readonly #grid: Grid;
  #found: Differences = differencesOf([], []);
  #sorting: Sorting | null = null;
  /** How many there are of a whole table, of which these are the newest; null: these are all. */
  #of: Counts | null = null;

  constructor(signal: AbortSignal) {
    this.#grid = new Grid({ sort: (column) => this.#sort(column) }, signal);
    this.element = this.#grid.element;
    this.element.classList.add("comparison");
  }

  /** Draws what became of the one value until the other. */
  draw(then: Value, now: Value, of: Counts | null = null): void {
    this.#of = of;
    this.#found = differencesOf(then, now);
    this.#grid.update(this.#shown);
  }

  /** `2 added · 1 changed · 1,197 the same`. */
  summary(): string {
    const { marks, same, rows } = this.#found;
    const counted = MARKS.map((mark) => {
      const n = this.#of?.[mark] ?? [...marks.values()].filter((each) => each === mark).length;
      return [n, `${n.toLocaleString("en")} ${mark}`] as const;
    }).filter(([n]) => n > 0);
    const texts = counted.map(([, text]) => text);
    if (!this.#of) return [...texts, `${same.toLocaleString("en")} the same`].join(" · ");
    const all = counted.reduce((sum, [n]) => sum + n, 0);
    const shown = rows.count.toLocaleString("en");
    return [...texts, `showing ${shown} of ${count(all, "change")}`].join(" · ");
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
