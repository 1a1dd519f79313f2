/** Which view a value gets: as told, if the value fits it, else by what it holds. */
import type { Value } from "convex/values";
import { isObject, type ViewSpec } from "../spec.ts";
import { rowsOf } from "../table/rows.ts";

export type ViewKind = "table" | "stored" | "chart" | "card" | "log" | "metric" | "tree";

export function chooseView(told: ViewSpec, value: Value): ViewKind {
  if (told.kind !== "auto") return fits(told.kind, value) ? told.kind : "tree";
  if (fits("table", value)) return "table";
  if (isObject(value) && typeof value._id === "string") return "card";
  return typeof value === "number" || typeof value === "bigint" ? "metric" : "tree";
}

function fits(kind: ViewKind, value: Value): boolean {
  switch (kind) {
    case "table":
    case "chart":
    case "log":
      return rowsOf(value) !== null;
    case "card":
      return isObject(value);
    case "metric":
      return !Array.isArray(value) && value !== null;
    case "stored": // its value is a version, whatever that is
    case "tree":
      return true;
    default:
      kind satisfies never;
      return true;
  }
}
