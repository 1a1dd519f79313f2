/**
 * What differs between two values of one query: rows that were added, removed and
 * changed, and which of their cells.
 *
 * Rows are the same if they have the same `_id`; rows of another kind (of SQL, of a
 * function's own making) if they have the same text in the first column that tells them
 * all apart; else if they stand in the same place. Values that are no rows are compared
 * leaf by leaf.
 */
import type { Value } from "convex/values";
import { isObject } from "../spec.ts";
import { type Column, columnsOf } from "../table/columns.ts";
import { type Row, type RowKey, Rows, rowsOf } from "../table/rows.ts";
import { type Cell, kindOf, preview, sameValue } from "../value.ts";

export type Mark = "added" | "removed" | "changed";

/** The column that says what became of a row. */
export const MARK = "±";
const MARK_COLUMN: Column = { name: MARK, type: "", numeric: false, digits: 8 };

export interface Differences {
  /** The rows that differ, as of the later value; those that are gone where they stood. */
  readonly rows: Rows;
  readonly columns: readonly Column[];
  readonly marks: ReadonlyMap<RowKey, Mark>;
  /** What became of a cell. */
  markAt(key: RowKey, column: string): Mark | undefined;
  /** How many rows are as they were. */
  readonly same: number;
}

export function differencesOf(then: Value, now: Value): Differences {
  const [before, after] = alike(then, now);
  const marks = new Map<RowKey, Mark>();
  const changed = new Map<RowKey, readonly string[]>();
  const keys: RowKey[] = [];
  const shown: Row[] = [];
  const there: Row[] = [];
  for (const key of inOrder(before, after)) {
    const [was, is] = [before.get(key), after.get(key)];
    const names = was && is ? differing(was, is) : null;
    if (names?.length === 0) continue;
    const mark = names ? "changed" : was ? "removed" : "added";
    marks.set(key, mark);
    if (names) changed.set(key, names);
    keys.push(key);
    shown.push({ [MARK]: mark, ...drawn(was, is, names ?? []) });
    for (const row of [was, is]) if (row) there.push(row);
  }
  return {
    rows: new Rows(keys, shown),
    columns: [MARK_COLUMN, ...columnsFor(there, shown)],
    marks,
    markAt: (key, column) =>
      changed.has(key) && column !== MARK && !changed.get(key)?.includes(column)
        ? undefined
        : marks.get(key),
    same: after.count - keys.filter((key) => marks.get(key) !== "removed").length,
  };
}

/** Both values as rows, with the same names for the same things. */
function alike(then: Value, now: Value): readonly [Rows, Rows] {
  const [before, after] = [rowsOf(then), rowsOf(now)];
  if (!before || !after) return [leavesOf(then), leavesOf(now)];
  const both = [before, after] as const;
  const [first] = [...before.records, ...after.records];
  if (!first || typeof first._id === "string") return both;
  const name = Object.keys(first).find((each) => both.every((rows) => tellsApart(rows, each)));
  if (name === undefined) return both;
  const named = ({ records }: Rows) =>
    new Rows(
      records.map((row) => String(row[name])),
      records,
    );
  return [named(before), named(after)];
}

function tellsApart({ records }: Rows, name: string): boolean {
  const texts = records.map((row) => row[name]);
  return texts.every((text) => typeof text === "string") && new Set(texts).size === texts.length;
}

/** Every leaf of a value as a row: where it is, and what. */
function leavesOf(value: Value): Rows {
  const found: [string, Value][] = [];
  const look = (where: string, item: Value) => {
    const inside = Array.isArray(item)
      ? item.map((each, at) => [`${where}[${at}]`, each] as const)
      : isObject(item)
        ? Object.entries(item).map(([k, each]) => [where ? `${where}.${k}` : k, each] as const)
        : [];
    if (inside.length === 0) found.push([where || "value", item]);
    else for (const [at, each] of inside) look(at, each);
  };
  look("", value);
  return new Rows(
    found.map(([where]) => where),
    found.map(([where, leaf]) => ({ where, value: leaf })),
  );
}

/** The later rows in their order; one that is gone after whatever stood before it. */
function inOrder(before: Rows, after: Rows): RowKey[] {
  const gone = new Map<RowKey, RowKey[]>();
  let last = "";
  for (const key of before.keys) {
    if (after.place(key) !== undefined) last = key;
    else gone.set(last, [...(gone.get(last) ?? []), key]);
  }
  const kept = after.keys.flatMap((key) => [key, ...(gone.get(key) ?? [])]);
  return [...(gone.get("") ?? []), ...kept];
}

function differing(was: Row, is: Row): string[] {
  const names = new Set([...Object.keys(was), ...Object.keys(is)]);
  return [...names].filter((name) => !sameValue(was[name], is[name]));
}

/** A changed cell says both: `17 → 42`. */
function drawn(was: Row | undefined, is: Row | undefined, changed: readonly string[]): Row {
  const texts = changed.map((name) => [name, `${text(was, name)} → ${text(is, name)}`]);
  return { ...was, ...is, ...Object.fromEntries(texts) };
}

function text(row: Row | undefined, name: string): string {
  const cell: Cell = row?.[name];
  return cell === undefined ? "missing" : preview(cell, kindOf(cell, name));
}

/** Typed as what is there, as wide as what is shown. */
function columnsFor(there: readonly Row[], shown: readonly Row[]): Column[] {
  const names = columnsOf(there, null).map(({ name }) => name);
  const wide = columnsOf(shown, names);
  return columnsOf(there, null).map((column, at) => ({
    ...column,
    digits: wide[at]?.digits ?? column.digits,
  }));
}
