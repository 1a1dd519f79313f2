/**
 * The rows of a stored table, as far as they were looked at.
 *
 * Rows come in blocks; a table of any length costs the page the blocks in sight and
 * those it has seen last. Places that are not here yet have a name too, so that the
 * grid draws them as such.
 */
import type { Row, RowKey, RowSet } from "./rows.ts";
import type { Span } from "./viewport.ts";

export const BLOCK = 100;
/** Some screens: 40 blocks of 100 documents. */
const MOST_BLOCKS = 40;

export class WindowRows implements RowSet {
  readonly #blocks = new Map<number, readonly Row[]>();
  readonly #places = new Map<RowKey, number>();

  readonly #hasIds: boolean;

  /** `hasIds`: whether a row is known by its document's id; else by its place. */
  constructor(
    readonly count: number,
    hasIds = true,
  ) {
    this.#hasIds = hasIds;
  }

  keyAt(place: number): RowKey {
    return this.#keyOf(this.at(place), place);
  }

  at(place: number): Row | undefined {
    return this.#blocks.get(Math.floor(place / BLOCK))?.[place % BLOCK];
  }

  place(key: RowKey): number | undefined {
    return this.#places.get(key);
  }

  get(key: RowKey): Row | undefined {
    const place = this.place(key);
    return place === undefined ? undefined : this.at(place);
  }

  has(block: number): boolean {
    return this.#blocks.has(block);
  }

  put(block: number, rows: readonly Row[]): void {
    this.#blocks.set(block, rows);
    for (const [at, row] of rows.entries()) {
      const place = block * BLOCK + at;
      this.#places.set(this.#keyOf(row, place), place);
    }
    const [oldest] = this.#blocks.keys();
    if (this.#blocks.size > MOST_BLOCKS && oldest !== undefined) this.#forget(oldest);
  }

  /** Another document in a row's place, until the deployment is asked again. */
  set(key: RowKey, row: Row): void {
    const place = this.place(key);
    if (place === undefined) return;
    const block = Math.floor(place / BLOCK);
    this.#blocks.set(block, this.#blocks.get(block)?.with(place % BLOCK, row) ?? []);
  }

  /** The rows that are here. */
  here(): Row[] {
    return [...this.#blocks.values()].flat();
  }

  #forget(block: number): void {
    const rows = this.#blocks.get(block) ?? [];
    for (const [at, row] of rows.entries()) {
      this.#places.delete(this.#keyOf(row, block * BLOCK + at));
    }
    this.#blocks.delete(block);
  }

  #keyOf(row: Row | undefined, place: number): RowKey {
    return this.#hasIds && typeof row?._id === "string" ? row._id : `?${place}`;
  }
}

/** The blocks that a span of rows lies in. */
export function blocksOf({ start, end }: Span, count: number): number[] {
  const last = Math.min(end, count) - 1;
  const blocks: number[] = [];
  for (let at = Math.floor(start / BLOCK); at <= Math.floor(last / BLOCK); at++) blocks.push(at);
  return last < start ? [] : blocks;
}
