/** What the script of comparisons offers: it is loaded when two moments are first compared. */
import type { Value } from "convex/values";
import type { Source } from "../source.ts";
import type { Standing } from "../views/view.ts";

/** How many documents of a whole table became what. */
export type Counts = Readonly<Record<"added" | "removed" | "changed", number>>;

export interface Compared extends Standing {
  /** Draws what became of the one value until the other; `of`: these are some of so many. */
  draw(then: Value, now: Value, of?: Counts): void;
}

/** The newest changes of a table: documents as they were, as they are, and how many there are. */
export type TableChanges = readonly [then: Value, now: Value, of: Counts];

export interface Comparing {
  comparison(signal: AbortSignal): Compared;
  /** What became of a table between two moments, in milliseconds since 1970; null: now. */
  tableChanges(
    source: Source,
    table: string,
    from: number,
    to: number | null,
  ): Promise<TableChanges>;
}
