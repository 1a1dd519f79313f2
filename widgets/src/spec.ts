/**
 * What a live output says of itself: which query, with which arguments, drawn how.
 *
 * This is the content of the mime type below, written by the kernel and kept in
 * the notebook. It holds names and arguments, never rows and never a secret, so
 * it is as true after a restart as it was when it was written.
 */
import { type JSONValue, jsonToConvex, type Value } from "convex/values";
import type { Field } from "./inputs.ts";

export const MIME = "application/vnd.convexlab.live.v1+json";

export type ViewSpec =
  | { kind: "auto" }
  | { kind: "table"; columns: readonly string[] | null; edit: EditSpec | null }
  | { kind: "stored"; table: string; edit: EditSpec | null; of: Answered | null }
  | { kind: "chart"; chart: Record<string, unknown> }
  | { kind: "card" }
  | { kind: "log"; field: string | null }
  | { kind: "metric"; field: string | null; label: string | null }
  | { kind: "tree" };

/** A statement in SQL whose rows are read as one looks, as the deployment takes it. */
export interface Answered {
  readonly sql: string;
  readonly params: JSONValue;
  /** As of when, in nanoseconds since 1970; null: now. */
  readonly ts: string | null;
}

/** What became of a table's documents since then (in nanoseconds), as rows. */
export interface Changed {
  readonly table: string;
  readonly since: string;
}

/** A mutation that takes a document's id and some of its fields. */
export interface EditSpec {
  readonly path: string;
  /** The argument that is the id. */
  readonly id: string;
  /** The argument that takes the fields as one object; null: each is an argument. */
  readonly within: string | null;
  readonly fields: Readonly<Record<string, Field>>;
}

export type Args = Record<string, Value>;

export interface LiveSpec {
  readonly path: string;
  readonly args: Args;
  readonly view: ViewSpec;
  /** How many seconds back one may look with a slider; null: no slider. */
  readonly back: number | null;
  readonly deployment: string;
}

/** The output was written by another version of convexlab, or by hand. */
export class SpecError extends Error {}

export function readSpec(data: unknown): LiveSpec {
  if (!isRecord(data) || typeof data.path !== "string" || data.path === "") {
    throw new SpecError("This live output names no query. Run its cell again.");
  }
  return {
    path: data.path,
    args: readArgs(data.args ?? {}),
    view: readView(data.view),
    back: isRecord(data.view) && typeof data.view.back === "number" ? data.view.back : null,
    deployment: typeof data.deployment === "string" ? data.deployment : "local",
  };
}

export function readArgs(data: unknown): Args {
  const args = jsonToConvex(data as JSONValue);
  if (!isObject(args)) throw new SpecError("The arguments of this live output are not an object.");
  return args;
}

function readView(data: unknown): ViewSpec {
  if (!isRecord(data)) return { kind: "auto" };
  switch (data.kind) {
    case "table":
      return { kind: "table", columns: readColumns(data.columns), edit: readEdit(data.edit) };
    case "stored":
      return typeof data.table === "string"
        ? {
            kind: "stored",
            table: data.table,
            edit: readEdit(data.edit),
            of: readAnswered(data.of),
          }
        : { kind: "auto" };
    case "chart":
      return isRecord(data.chart) ? { kind: "chart", chart: data.chart } : { kind: "auto" };
    case "metric":
      return { kind: "metric", field: readText(data.field), label: readText(data.label) };
    case "log":
      return { kind: "log", field: readText(data.field) };
    case "card":
    case "tree":
      return { kind: data.kind };
    default:
      return { kind: "auto" };
  }
}

function readAnswered(data: unknown): Answered | null {
  if (!isRecord(data) || typeof data.sql !== "string") return null;
  return { sql: data.sql, params: (data.params ?? []) as JSONValue, ts: readText(data.ts) };
}

export function readText(data: unknown): string | null {
  return typeof data === "string" ? data : null;
}

function readEdit(data: unknown): EditSpec | null {
  if (!isRecord(data) || typeof data.path !== "string" || typeof data.id !== "string") return null;
  return {
    path: data.path,
    id: data.id,
    within: readText(data.within),
    fields: readFields(data.fields),
  };
}

/** Validators as the kernel had them of the deployment, which has checked them. */
export function readFields(data: unknown): Record<string, Field> {
  return isRecord(data) ? (data as Record<string, Field>) : {};
}

function readColumns(data: unknown): readonly string[] | null {
  return Array.isArray(data) && data.length > 0 ? data.map(String) : null;
}

/** JSON before it is decoded: the one place where the shape is unknown. */
export function isRecord(data: unknown): data is Record<string, unknown> {
  return typeof data === "object" && data !== null && !Array.isArray(data);
}

/** A Convex object, as against null, arrays and bytes, which are objects to JavaScript too. */
export function isObject(value: Value | undefined): value is Record<string, Value> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof ArrayBuffer)
  );
}
