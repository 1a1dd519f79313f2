/**
 * The columns of a table: which there are, in which order, and what is in them.
 *
 * Columns come as the rows name them, `_id` first and then how well a row was found
 * (`_score`), `_creationTime` last. A
 * column's type is written as in a schema: `number?` is missing in some rows,
 * `string | null` is null in some.
 */
import { full, type Kind, kindOf, preview } from "../value.ts";
import type { Row } from "./rows.ts";

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly numeric: boolean;
  /** A width for its texts, in digits of the table's font. */
  readonly digits: number;
}

export const MAX_COLUMNS = 200;
const PLACES: ReadonlyMap<string, number> = new Map([
  ["_id", 0],
  ["_score", 1],
  ["_creationTime", 3],
]);
const MEASURED_ROWS = 100;
const NARROW = 6;
/** Of a column that is asked for and has nothing in it yet: some words may come. */
const EMPTY = 18;
const WIDE = 36;
const ID_DIGITS = 14;

export function columnsOf(rows: readonly Row[], told: readonly string[] | null): Column[] {
  const seen = new Map<string, Map<Kind, number>>();
  for (const name of told ?? []) seen.set(name, new Map());
  for (const row of rows) {
    for (const name in row) {
      let kinds = seen.get(name);
      if (!kinds) {
        if (told) continue;
        kinds = new Map();
        seen.set(name, kinds);
      }
      const kind = kindOf(row[name], name);
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
  }
  const names = told ?? inOrder([...seen.keys()]);
  return names.map((name) => column(name, seen.get(name) ?? new Map(), rows));
}

function inOrder(names: string[]): string[] {
  const place = (name: string) => PLACES.get(name) ?? 2;
  return names.sort((a, b) => place(a) - place(b));
}

function column(name: string, kinds: Map<Kind, number>, rows: readonly Row[]): Column {
  const numeric = kinds.size > 0 && [...kinds.keys()].every(isNumeric);
  const type = typeText(kinds, rows.length);
  return { name, type, numeric, digits: digitsOf(name, type, kinds, rows) };
}

function isNumeric(kind: Kind): boolean {
  return kind === "number" || kind === "int64" || kind === "score" || kind === "null";
}

export function typeText(kinds: ReadonlyMap<Kind, number>, rows: number): string {
  const counted = [...kinds.values()].reduce((sum, n) => sum + n, 0);
  const named = new Set([...kinds.keys()].map(schemaName));
  const nullable = named.delete("null");
  const parts = [...named].sort();
  if (parts.length > 3) parts.splice(0, parts.length, "any");
  if (nullable) parts.push("null");
  const text = parts.join(" | ");
  if (counted === rows || text === "") return text;
  return parts.length > 1 ? `(${text})?` : `${text}?`;
}

function schemaName(kind: Kind): string {
  return kind === "time" || kind === "score" ? "number" : kind;
}

function digitsOf(
  name: string,
  type: string,
  kinds: ReadonlyMap<Kind, number>,
  rows: readonly Row[],
): number {
  const least = kinds.size === 0 ? EMPTY : NARROW;
  let digits = Math.max(least, name.length + 2, Math.ceil(type.length * 0.9));
  const onlyIds = kinds.size > 0 && [...kinds.keys()].every((kind) => kind === "id");
  if (onlyIds) return Math.max(digits, ID_DIGITS);
  for (const row of rows.slice(0, MEASURED_ROWS)) {
    digits = Math.max(digits, preview(row[name], kindOf(row[name], name)).length);
  }
  return Math.min(digits, WIDE) + 1;
}

/** One row as tab-separated text, for the clipboard: what a spreadsheet takes. */
export function tabbed(row: Row, columns: readonly string[]): string {
  return columns.map((name) => full(row[name]).replaceAll(/[\t\n]+/g, " ")).join("\t");
}
