/**
 * Values as people read them: one kind, one line of text and one full text each.
 *
 * A number reads as what it is, not as it was sent: 2013.0 is 2013. A field that
 * is missing is not null, and neither is the empty string.
 */
import { compareValues, convexToJson, type Value } from "convex/values";
import { isObject } from "./spec.ts";

export type Kind =
  | "missing"
  | "null"
  | "boolean"
  | "number"
  | "int64"
  | "string"
  | "id"
  | "time"
  | "score"
  | "bytes"
  | "array"
  | "object";

export type Cell = Value | undefined;

const ID = /^[0-9a-hjkmnp-tv-z]{31,37}$/;
const PREVIEW_CHARS = 120;
const PREVIEW_ITEMS = 12;
const PREVIEW_BYTES = 8;

export function kindOf(value: Cell, field?: string): Kind {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  switch (typeof value) {
    case "boolean":
      return "boolean";
    case "bigint":
      return "int64";
    case "number":
      if (field === "_score") return "score";
      return field === "_creationTime" && Number.isFinite(value) ? "time" : "number";
    case "string":
      return ID.test(value) ? "id" : "string";
    default:
      if (Array.isArray(value)) return "array";
      return value instanceof ArrayBuffer ? "bytes" : "object";
  }
}

/** The text of one cell: a single line, cut where nobody reads on. */
export function preview(value: Cell, kind: Kind = kindOf(value)): string {
  switch (kind) {
    case "missing":
      return "";
    case "time":
      return timeText(value as number);
    case "score":
      return (value as number).toFixed(4);
    case "string":
    case "id":
      return cut((value as string).replaceAll(/\s+/g, " "));
    default:
      return cut(inline(value as Value, PREVIEW_CHARS));
  }
}

/** The whole value as text: for tooltips, copying and screen readers. */
export function full(value: Cell): string {
  if (value === undefined) return "";
  if (typeof value === "string") return value;
  if (isObject(value) || Array.isArray(value)) {
    return JSON.stringify(convexToJson(value), null, 1);
  }
  return scalar(value);
}

export function timeText(ms: number): string {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return String(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

export function sameValue(a: Cell, b: Cell): boolean {
  return a === b || compareValues(a, b) === 0;
}

/** A number in a table: all its digits, but not the noise of binary fractions. */
function numberText(value: number): string {
  if (Number.isInteger(value)) return Object.is(value, -0) ? "-0" : String(value);
  return String(Number(value.toPrecision(12)));
}

/** Values on one line; `room` is what is left of it, so that large values cost no more than small ones. */
function inline(value: Value, room: number): string {
  if (room <= 0) return "…";
  if (Array.isArray(value)) {
    const items = listed(value, room, (item, left) => inline(item, left));
    return `[${items}]`;
  }
  if (isObject(value)) {
    const items = listed(Object.entries(value), room, ([k, v], left) => `${k}: ${inline(v, left)}`);
    return `{${items}}`;
  }
  return typeof value === "string" ? JSON.stringify(value.slice(0, room + 1)) : scalar(value);
}

function listed<T>(items: readonly T[], room: number, text: (item: T, left: number) => string) {
  const parts: string[] = [];
  let left = room;
  for (const item of items.slice(0, PREVIEW_ITEMS)) {
    if (left <= 0) break;
    const part = text(item, left);
    parts.push(part);
    left -= part.length + 2;
  }
  if (parts.length < items.length) parts.push("…");
  return parts.join(", ");
}

function scalar(value: Value): string {
  if (value === null) return "null";
  if (value instanceof ArrayBuffer) return bytesText(value);
  return typeof value === "number" ? numberText(value) : String(value);
}

function bytesText(value: ArrayBuffer): string {
  const head = [...new Uint8Array(value.slice(0, PREVIEW_BYTES))];
  const hex = head.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  const more = value.byteLength > PREVIEW_BYTES ? " …" : "";
  return `${value.byteLength} bytes${hex && ": "}${hex}${more}`;
}

function cut(text: string): string {
  return text.length > PREVIEW_CHARS ? `${text.slice(0, PREVIEW_CHARS - 1)}…` : text;
}
