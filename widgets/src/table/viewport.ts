/**
 * Which rows stand in the document: those in sight and a few around them.
 *
 * Rows all have one height, so the whole answer is arithmetic. N.B. MAX_DRAWN is
 * a promise to the page: a table of any length costs it no more than this.
 */
import type { RowSet } from "./rows.ts";

export const ROW_PX = 28;
export const MAX_DRAWN = 60;
const AROUND = 8;

export interface Span {
  readonly start: number;
  readonly end: number;
}

export function drawn(scrollTop: number, height: number, count: number): Span {
  const first = Math.max(0, Math.floor(scrollTop / ROW_PX));
  const start = Math.max(0, Math.min(first, count) - AROUND);
  const fits = Math.ceil(Math.max(height, ROW_PX) / ROW_PX) + 1;
  const end = Math.min(count, first + fits + AROUND, start + MAX_DRAWN);
  return { start, end: Math.max(start, end) };
}

/**
 * Where to scroll so that what one was reading stays where it was.
 *
 * At the very top one watches the top: new rows come in sight. Further down, the
 * first row in sight that is still there keeps its place.
 */
export function anchored(before: RowSet, after: RowSet, scrollTop: number): number {
  if (scrollTop <= 0) return scrollTop;
  const first = Math.floor(scrollTop / ROW_PX);
  for (let place = first; place < Math.min(first + MAX_DRAWN, before.count); place++) {
    const now = after.place(before.keyAt(place));
    if (now !== undefined) return scrollTop + (now - place) * ROW_PX;
  }
  return scrollTop;
}

/** The scroll position nearest to the present one at which a row is wholly in sight. */
export function revealing(place: number, scrollTop: number, height: number): number {
  const top = place * ROW_PX;
  if (top < scrollTop) return top;
  return Math.max(scrollTop, top + ROW_PX - height);
}
