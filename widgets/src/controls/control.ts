/**
 * Controls: what one writes with. A form, a button, a place for files, and a grid of
 * live results.
 *
 * A control says which function it calls and what that takes; it calls when somebody
 * presses it, never by itself.
 */
import { type JSONValue, jsonToConvex, type Value } from "convex/values";
import { el } from "../dom.ts";
import type { Field } from "../inputs.ts";
import { guardKeys } from "../keys.ts";
import type { Source } from "../source.ts";
import { type Args, isObject, isRecord, readFields, readText, SpecError } from "../spec.ts";
import { styled } from "../style.ts";
import { buttonControl } from "./button.ts";
import { formControl } from "./form.ts";
import { readSearch, type SearchSpec, searchBox } from "./search.ts";
import { uploadControl } from "./upload.ts";

export interface Action {
  readonly path: string;
  readonly label: string | null;
  /** What the function takes, by argument. */
  readonly fields: Readonly<Record<string, Field>>;
  /** What is passed as it is: all of it for a button, what a form begins with. */
  readonly args: Args;
}

export type ControlSpec =
  | { readonly kind: "form" | "button" | "upload"; readonly action: Action }
  | { readonly kind: "search"; readonly search: SearchSpec }
  | { readonly kind: "grid"; readonly columns: number; readonly items: readonly unknown[] };

/** Null: this output is no control. */
export function readControl(data: unknown): ControlSpec | null {
  if (!isRecord(data) || !isRecord(data.control)) return null;
  const { control } = data;
  switch (control.kind) {
    case "form":
    case "button":
    case "upload":
      return { kind: control.kind, action: readAction(control) };
    case "search":
      return { kind: "search", search: readSearch(data.control, data.deployment) };
    case "grid":
      return {
        kind: "grid",
        columns: typeof control.columns === "number" ? control.columns : 2,
        items: Array.isArray(control.items) ? control.items : [],
      };
    default:
      throw new SpecError("This control is of another version of convexlab. Run its cell again.");
  }
}

function readAction(data: Record<string, unknown>): Action {
  if (typeof data.path !== "string") throw new SpecError("This control names no function.");
  const args: Value = jsonToConvex((data.args ?? {}) as JSONValue);
  return {
    path: data.path,
    label: readText(data.label),
    fields: readFields(data.fields),
    args: isObject(args) ? args : {},
  };
}

/** Shows a live output in a host, for as long as the control is there or until a signal. */
export type Show = (host: HTMLElement, data: unknown, until?: AbortSignal, from?: Source) => void;

/** Shows a control in its host; `show` shows what a grid holds, and what a search finds. */
export function showControl(
  host: HTMLElement,
  control: ControlSpec,
  source: Source,
  show: Show,
  signal: AbortSignal,
): void {
  host.dataset.state = "control";
  host.dataset.control = control.kind;
  if (control.kind === "grid") {
    showGrid(host, control.columns, control.items, show);
    return;
  }
  guardKeys(host, signal);
  if (control.kind === "search") {
    styled(host).replaceChildren(searchBox(control.search, source, show, signal));
    return;
  }
  styled(host).replaceChildren(
    framed(control.action, bodyOf(control.kind, control.action, source)),
  );
}

function bodyOf(kind: "form" | "button" | "upload", action: Action, source: Source): HTMLElement {
  switch (kind) {
    case "form":
      return formControl(action, source);
    case "button":
      return buttonControl(action, source);
    case "upload":
      return uploadControl(action, source);
    default:
      return kind satisfies never;
  }
}

function framed({ path }: Action, body: HTMLElement): HTMLElement {
  const bar = el("div", { class: "bar" }, el("span", { class: "path", text: path }));
  return el("div", { class: "frame" }, bar, body);
}

function showGrid(host: HTMLElement, columns: number, items: readonly unknown[], show: Show): void {
  const cells = items.map(() => el("div", { class: "in-grid" }));
  const grid = el("div", { class: "grid", style: `--across:${columns}` }, ...cells);
  styled(host).replaceChildren(grid);
  for (const [at, cell] of cells.entries()) show(cell, items[at]);
}
