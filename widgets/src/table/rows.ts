/**
 * The rows of a result, each under a name that survives the next result.
 *
 * A document is known by its `_id`; anything else by its place. By these names
 * the table keeps its scroll position, its selection and its flashes, whatever
 * is inserted, removed or moved.
 */
import { compareValues, type Value } from "convex/values";
import { isObject } from "../spec.ts";
import type { Cell } from "../value.ts";

export type RowKey = string;
export type Row = Record<string, Value>;

/** Rows by place and by name, wherever they are: some may not be here yet. */
export interface RowSet {
  readonly count: number;
  keyAt(place: number): RowKey;
  at(place: number): Row | undefined;
  place(key: RowKey): number | undefined;
  get(key: RowKey): Row | undefined;
}

export class Rows implements RowSet {
  static readonly none = new Rows([], []);

  constructor(
    readonly keys: readonly RowKey[],
    readonly records: readonly Row[],
    /** Where each row stands; made when first asked for. */
    private places: Map<RowKey, number> | null = null,
  ) {}

  get count(): number {
    return this.keys.length;
  }

  keyAt(place: number): RowKey {
    return this.keys[place] ?? "";
  }

  at(place: number): Row | undefined {
    return this.records[place];
  }

  place(key: RowKey): number | undefined {
    this.places ??= new Map(this.keys.map((name, place) => [name, place]));
    return this.places.get(key);
  }

  get(key: RowKey): Row | undefined {
    const place = this.place(key);
    return place === undefined ? undefined : this.records[place];
  }

  /** The rows that pass a test, in their order. */
  filtered(passes: ((row: Row) => boolean) | null): Rows {
    if (passes === null) return this;
    const places = this.records.flatMap((record, place) => (passes(record) ? [place] : []));
    return this.picked(places);
  }

  /** The same rows in the order of one column; rows that are equal in it keep their order. */
  sorted(by: Sorting | null): Rows {
    if (by === null) return this;
    const sign = by.direction === "asc" ? 1 : -1;
    const order = this.records
      .map((record, place) => ({ cell: record[by.column] as Cell, place }))
      .sort((a, b) => sign * compareValues(a.cell, b.cell) || a.place - b.place);
    return this.picked(order.map(({ place }) => place));
  }

  private picked(places: readonly number[]): Rows {
    return new Rows(
      places.map((place) => this.keys[place] as RowKey),
      places.map((place) => this.records[place] as Row),
    );
  }
}

export interface Sorting {
  readonly column: string;
  readonly direction: "asc" | "desc";
}

/** What a click on a column's head asks for next: ascending, descending, the query's own order. */
export function nextSorting(now: Sorting | null, column: string): Sorting | null {
  if (now?.column !== column) return { column, direction: "asc" };
  return now.direction === "asc" ? { column, direction: "desc" } : null;
}

/** The rows of a value: a list of objects, or a page of them. Null if it is neither. */
export function rowsOf(value: Value): Rows | null {
  const list = isObject(value) && Array.isArray(value.page) ? value.page : value;
  if (!Array.isArray(list) || !list.every(isObject)) return null;
  const records = list as Row[];
  return new Rows(keysOf(records), records);
}

function keysOf(records: readonly Row[]): RowKey[] {
  const seen = new Map<RowKey, number>();
  return records.map((record, place) => {
    const name = typeof record._id === "string" ? record._id : `#${place}`;
    const times = seen.get(name) ?? 0;
    seen.set(name, times + 1);
    return times === 0 ? name : `${name}#${times}`;
  });
}
