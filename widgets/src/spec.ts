/**
 * What a live output says of itself: which query, with which arguments, drawn how.
 *
 * This is the content of the mime type below, written by the kernel and kept in
 * the notebook. It holds names and arguments, never rows and never a secret, so
 * it is as true after a restart as it was when it was written.
 */
import { type JSONValue, jsonToConvex, type Value } from "convex/values";

export const MIME = "application/vnd.convexlab.live.v1+json";

export type ViewSpec =
  | { kind: "auto" }
  | { kind: "table"; columns: readonly string[] | null }
  | { kind: "card" }
  | { kind: "metric"; field: string | null; label: string | null }
  | { kind: "tree" };

export type Args = Record<string, Value>;

export interface LiveSpec {
  readonly path: string;
  readonly args: Args;
  readonly view: ViewSpec;
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
    deployment: typeof data.deployment === "string" ? data.deployment : "local",
  };
}

function readArgs(data: unknown): Args {
  const args = jsonToConvex(data as JSONValue);
  if (!isObject(args)) throw new SpecError("The arguments of this live output are not an object.");
  return args;
}

function readView(data: unknown): ViewSpec {
  if (!isRecord(data)) return { kind: "auto" };
  switch (data.kind) {
    case "table":
      return { kind: "table", columns: readColumns(data.columns) };
    case "metric":
      return { kind: "metric", field: readText(data.field), label: readText(data.label) };
    case "card":
    case "tree":
      return { kind: data.kind };
    default:
      return { kind: "auto" };
  }
}

function readText(data: unknown): string | null {
  return typeof data === "string" ? data : null;
}

function readColumns(data: unknown): readonly string[] | null {
  return Array.isArray(data) && data.length > 0 ? data.map(String) : null;
}

/** JSON before it is decoded: the one place where the shape is unknown. */
function isRecord(data: unknown): data is Record<string, unknown> {
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
