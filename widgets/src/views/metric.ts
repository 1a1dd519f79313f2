/** The metric: one number, large, by how much it has just moved, and how it came there. */
import type { Value } from "convex/values";
import { el, flash, setText } from "../dom.ts";
import { isObject } from "../spec.ts";
import { full, preview } from "../value.ts";
import { Sparkline } from "./sparkline.ts";
import type { View } from "./view.ts";

const DIGITS = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });

/** The field is where the number stands in an object; without one, an object's only field. */
export function metricView(field: string | null, label: string | null): View {
  const number = el("div", { class: "figure" });
  const change = el("div", { class: "change" });
  const sparkline = new Sparkline();
  const name = el("div", { class: "label", text: label ?? field ?? "" });
  const element = el(
    "div",
    { class: "metric" },
    name,
    el("div", { class: "line" }, number, change, sparkline.element),
  );
  let last: Value | undefined;
  return {
    element,
    draw(value) {
      const figure = figureOf(value, field);
      setText(number, figureText(figure));
      number.title = full(figure);
      const step = stepOf(last, figure);
      if (last !== undefined && step !== "") {
        setText(change, step);
        change.dataset.up = String(step.startsWith("▲"));
        flash(number);
      }
      last = figure;
      const point = Number(typeof figure === "bigint" || typeof figure === "number" ? figure : NaN);
      if (Number.isFinite(point)) sparkline.add({ at: Date.now(), value: point });
    },
    summary: () => "",
  };
}

function figureOf(value: Value, field: string | null): Value {
  if (!isObject(value)) return value;
  if (field !== null) return value[field] ?? null;
  const only = Object.values(value);
  return only.length === 1 ? (only[0] as Value) : value;
}

function figureText(value: Value): string {
  if (typeof value === "bigint") return value.toLocaleString("en");
  return typeof value === "number" && Number.isFinite(value)
    ? DIGITS.format(value)
    : preview(value);
}

function stepOf(before: Value | undefined, now: Value): string {
  if (typeof before === "bigint" && typeof now === "bigint") {
    return arrow(
      now > before,
      now === before,
      (now > before ? now - before : before - now).toLocaleString("en"),
    );
  }
  if (typeof before !== "number" || typeof now !== "number") return "";
  return arrow(now > before, now === before, DIGITS.format(Math.abs(now - before)));
}

function arrow(up: boolean, same: boolean, by: string): string {
  return same ? "" : `${up ? "▲" : "▼"} ${by}`;
}
