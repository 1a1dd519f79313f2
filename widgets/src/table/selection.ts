/**
 * The selection: one active cell, and the other corner of what is selected.
 *
 * Cells are named by row and column, not by place, so a selection stays on its
 * documents while rows come and go above it.
 */
import type { RowKey, RowSet } from "./rows.ts";

/** The row of column heads. */
export const HEAD: RowKey = "^";

export interface Spot {
  readonly row: RowKey;
  readonly column: string;
}

export interface Selection {
  readonly active: Spot;
  readonly anchor: Spot;
}

/** One row past either end says "to the end"; places are clamped. */
export interface Motion {
  readonly rows: number;
  readonly columns: number;
}

export interface Area {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

const END = Number.MAX_SAFE_INTEGER;

/** What a key means in a grid, after the WAI-ARIA grid pattern. Null: not ours. */
export function motionOf(key: string, far: boolean, page: number): Motion | null {
  switch (key) {
    case "ArrowUp":
      return { rows: far ? -END : -1, columns: 0 };
    case "ArrowDown":
      return { rows: far ? END : 1, columns: 0 };
    case "ArrowLeft":
      return { rows: 0, columns: far ? -END : -1 };
    case "ArrowRight":
      return { rows: 0, columns: far ? END : 1 };
    case "PageUp":
      return { rows: -page, columns: 0 };
    case "PageDown":
      return { rows: page, columns: 0 };
    case "Home":
      return { rows: far ? -END : 0, columns: -END };
    case "End":
      return { rows: far ? END : 0, columns: END };
    default:
      return null;
  }
}

export function moved(from: Spot, by: Motion, rows: RowSet, columns: readonly string[]): Spot {
  const place = from.row === HEAD ? -1 : (rows.place(from.row) ?? 0);
  const row = clamp(place + by.rows, by.rows === -END ? 0 : -1, rows.count - 1);
  const column = clamp(columns.indexOf(from.column) + by.columns, 0, columns.length - 1);
  return {
    row: row < 0 ? HEAD : rows.keyAt(row),
    column: columns[column] ?? from.column,
  };
}

/** The rectangle between the two corners, in places; null if a corner is gone or a head. */
export function areaOf(
  selection: Selection,
  rows: RowSet,
  columns: readonly string[],
): Area | null {
  const places = [selection.active, selection.anchor].map((spot) => rows.place(spot.row));
  const sides = [selection.active, selection.anchor].map((spot) => columns.indexOf(spot.column));
  const [a, b] = places;
  const [c, d] = sides;
  if (a === undefined || b === undefined || c === undefined || d === undefined) return null;
  if (c < 0 || d < 0) return null;
  return {
    top: Math.min(a, b),
    bottom: Math.max(a, b),
    left: Math.min(c, d),
    right: Math.max(c, d),
  };
}

/** What is left of a selection when the rows have changed: a corner that is gone goes to the other. */
export function kept(selection: Selection | null, rows: RowSet): Selection | null {
  if (!selection) return null;
  const here = (spot: Spot) => spot.row === HEAD || rows.place(spot.row) !== undefined;
  const { active, anchor } = selection;
  if (here(active)) return here(anchor) ? selection : { active, anchor: active };
  return here(anchor) ? { active: anchor, anchor } : null;
}

function clamp(n: number, low: number, high: number): number {
  return Math.max(low, Math.min(n, high));
}
