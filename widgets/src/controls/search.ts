/**
 * A search box: what is typed is asked for as it is typed.
 *
 *   a query that takes the text      followed with it
 *   one that takes its vector        an action embeds the text, then it is followed with that
 *   an action                        asked once
 *
 * While the next result is on its way the last one stays, so that nothing flickers,
 * but it is pale: it is of another text.
 *
 * Invariant
 *     F1  Nothing that a text led to is drawn once another one has been asked for.
 */
import { convexToJson } from "convex/values";
import { el } from "../dom.ts";
import { failureBox } from "../failure.ts";
import { askOnce, type Source } from "../source.ts";
import { isRecord, readText, SpecError } from "../spec.ts";
import type { Show } from "./control.ts";

export interface SearchSpec {
  /** The live output of the query, but for the text. */
  readonly live: Record<string, unknown>;
  readonly path: string;
  readonly args: Record<string, unknown>;
  /** The argument that takes the text; null: only its vector is asked for. */
  readonly argument: string | null;
  readonly embed: Embed | null;
  /** Whether an action is asked once for each text; else a query is followed. */
  readonly isAction: boolean;
  readonly label: string;
}

/** The action that makes a vector, its argument, and the query's that takes the vector. */
interface Embed {
  readonly path: string;
  readonly argument: string;
  readonly into: string;
}

/** Between the last key and the question. */
const PAUSE_MS = 150;
/** What has not come by then shows itself as waiting, or why it failed. */
const PATIENCE_MS = 1_000;

export function readSearch(data: Record<string, unknown>, deployment: unknown): SearchSpec {
  const { path, args, view } = data;
  const [argument, embed] = [readText(data.argument), readEmbed(data.embed)];
  if (typeof path !== "string" || (argument === null && !embed)) {
    throw new SpecError("This search names no query. Run its cell again.");
  }
  return {
    live: { path, view, deployment },
    path,
    args: isRecord(args) ? args : {},
    argument,
    embed,
    isAction: data.asks === "action",
    label: readText(data.label) ?? path,
  };
}

function readEmbed(data: unknown): Embed | null {
  if (!isRecord(data)) return null;
  const { path, argument, into } = data;
  return { path: String(path), argument: String(argument), into: String(into) };
}

export function searchBox(
  spec: SearchSpec,
  source: Source,
  show: Show,
  signal: AbortSignal,
): HTMLElement {
  const input = el("input", {
    type: "search",
    placeholder: spec.label,
    "aria-label": spec.label,
  });
  const found = el("div");
  const from = spec.isAction ? answering(source, spec.path) : source;
  let asked = new AbortController();
  let pause: ReturnType<typeof setTimeout> | undefined;

  const ask = async () => {
    asked.abort();
    asked = new AbortController();
    const until = AbortSignal.any([signal, asked.signal]);
    const text = input.value;
    found.ariaBusy = "true";
    try {
      // Nothing means nothing, and no action is called that nobody asked for.
      if (text.trim() === "" && (spec.embed || spec.isAction)) found.replaceChildren();
      else {
        const args = await argumentsFor(spec, source, text);
        if (until.aborted) return; // F1
        turnTo(found, (next) => show(next, { ...spec.live, args }, until, from), until);
        return;
      }
    } catch (error) {
      if (until.aborted) return;
      found.replaceChildren(failureBox(`${spec.embed?.path} failed`, (error as Error).message));
    }
    found.ariaBusy = null;
  };
  const typed = (wait: number) => {
    clearTimeout(pause);
    pause = setTimeout(() => void ask(), wait);
  };
  input.addEventListener("input", () => typed(PAUSE_MS));
  input.addEventListener("keydown", ({ key }) => key === "Enter" && typed(0));
  signal.addEventListener("abort", () => clearTimeout(pause));
  void ask();
  return el("div", { class: "finder" }, input, found);
}

async function argumentsFor({ args, argument, embed }: SearchSpec, source: Source, text: string) {
  const beside = argument === null ? {} : { [argument]: text };
  if (!embed) return { ...args, ...beside };
  const vector = await source.call("action", embed.path, { [embed.argument]: text });
  return { ...args, ...beside, [embed.into]: convexToJson(vector) };
}

/** Shows an output in the place of the one before, as soon as it has something to show. */
function turnTo(place: HTMLElement, show: (next: HTMLElement) => void, until: AbortSignal): void {
  const next = el("div", { class: "convexlab-found", hidden: place.childElementCount > 0 });
  const turn = () => {
    if (until.aborted) return;
    next.hidden = false;
    place.replaceChildren(next);
    place.ariaBusy = null;
  };
  place.append(next);
  next.addEventListener("convexlab:draw", turn, { once: true });
  const late = setTimeout(turn, PATIENCE_MS);
  until.addEventListener("abort", () => {
    clearTimeout(late);
    if (next.hidden) next.remove();
  });
  show(next);
}

/** A source that asks the action once; what else its result leads to is followed as ever. */
function answering(source: Source, path: string): Source {
  return {
    followsAny: source.followsAny,
    follow: (query, follower, signal) =>
      query.path === path
        ? askOnce(source, "action", query, follower)
        : source.follow(query, follower, signal),
    call: (...asked) => source.call(...asked),
    at: (...asked) => source.at(...asked),
    rows: (...asked) => source.rows(...asked),
    upload: (file) => source.upload(file),
    part: (part) => source.part(part),
  };
}
