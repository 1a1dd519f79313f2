/**
 * A search box: a query that is followed with what is typed as one of its arguments.
 *
 * While the next result is on its way the last one stays, so that nothing flickers.
 */
import { el } from "../dom.ts";
import { isRecord, readText, SpecError } from "../spec.ts";
import type { Show } from "./control.ts";

export interface SearchSpec {
  /** The live output of the query, but for the text. */
  readonly live: Record<string, unknown>;
  readonly args: Record<string, unknown>;
  /** The argument that takes the text. */
  readonly argument: string;
  readonly label: string;
}

/** Between the last key and the question. */
const PAUSE_MS = 150;
/** What has not come by then shows itself as waiting, or why it failed. */
const PATIENCE_MS = 1_000;

export function readSearch(data: Record<string, unknown>, deployment: unknown): SearchSpec {
  const { path, args, argument, view } = data;
  if (typeof path !== "string" || typeof argument !== "string") {
    throw new SpecError("This search names no query. Run its cell again.");
  }
  return {
    live: { path, view, deployment },
    args: isRecord(args) ? args : {},
    argument,
    label: readText(data.label) ?? path,
  };
}

export function searchBox(spec: SearchSpec, show: Show, signal: AbortSignal): HTMLElement {
  const input = el("input", {
    type: "search",
    placeholder: spec.label,
    "aria-label": spec.label,
  });
  const found = el("div");
  let asked = new AbortController();
  let pause: ReturnType<typeof setTimeout> | undefined;

  const ask = () => {
    asked.abort();
    asked = new AbortController();
    const args = { ...spec.args, [spec.argument]: input.value };
    turnTo(found, show, { ...spec.live, args }, AbortSignal.any([signal, asked.signal]));
  };
  input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(ask, PAUSE_MS);
  });
  signal.addEventListener("abort", () => clearTimeout(pause));
  ask();
  return el("div", { class: "finder" }, input, found);
}

/** Shows an output in the place of the one before, as soon as it has something to show. */
function turnTo(place: HTMLElement, show: Show, data: unknown, until: AbortSignal): void {
  const next = el("div", { class: "convexlab-found", hidden: place.childElementCount > 0 });
  const turn = () => {
    if (until.aborted) return;
    next.hidden = false;
    place.replaceChildren(next);
  };
  place.append(next);
  next.addEventListener("convexlab:draw", turn, { once: true });
  const late = setTimeout(turn, PATIENCE_MS);
  until.addEventListener("abort", () => {
    clearTimeout(late);
    if (next.hidden) next.remove();
  });
  show(next, data, until);
}
