/**
 * Why a view shows what it shows: what changed it last, what was read for that, and
 * where the time went.
 *
 *   sent by somebody ─commit─▶ durable ─run─▶ known ─send─▶ here ─paint─▶ on the screen
 *
 * The deployment tells the first two when somebody wants to see them; the others are
 * measured here. Its clock is another one: by what it says of now, each answer also
 * tells how far the two are apart.
 */
import { afterPaint, el, now, setText } from "./dom.ts";
import type { Source } from "./source.ts";
import type { LiveSpec } from "./spec.ts";
import { count } from "./views/tree.ts";

/** What the deployment tells; times in milliseconds, `knownAt` and `now` by its clock. */
export interface Story {
  readonly cause: {
    readonly mutations: readonly string[];
    readonly commits: number;
    readonly commitMs: number;
    readonly runMs: number;
  } | null;
  readonly documentsRead: number;
  readonly functionMs: number;
  readonly knownAt: number;
  readonly now: number;
}

export interface Part {
  readonly name: "commit" | "run" | "send" | "paint";
  readonly ms: number;
}

/** When the newest value came, and when it was on the screen, by our clock. */
export interface Stamps {
  readonly received: number;
  readonly painted: number;
}

/** Longer than this is seen as waiting. */
const SLOW_MS = 100;

export class Why {
  readonly button = el("button", {
    type: "button",
    class: "tool why",
    text: "why?",
    title: "What changed this last, and where the time went",
    "aria-expanded": "false",
  });
  readonly element = el("div", { class: "reasons", hidden: true });
  readonly #words = el("div", { class: "words" });
  readonly #parts = el("div", { class: "parts" });
  readonly #spec: LiveSpec;
  readonly #ask: NonNullable<Source["why"]>;
  #received = 0;
  #stamps: Stamps | null = null;
  #asking = false;
  #again = false;

  constructor(spec: LiveSpec, ask: NonNullable<Source["why"]>) {
    this.#spec = spec;
    this.#ask = ask;
    this.element.append(this.#words, this.#parts);
    this.button.addEventListener("click", () => this.#toggle());
  }

  received(): void {
    this.#received = now();
  }

  drawn(isInFrame: boolean): void {
    const received = this.#received;
    afterPaint(isInFrame, (painted) => {
      // The first time the page was busy with itself.
      const slow = this.#stamps !== null && painted - received > SLOW_MS;
      this.#stamps = { received, painted };
      this.button.classList.toggle("slow", slow);
      if (!this.element.hidden) void this.#tell();
    });
  }

  #toggle(): void {
    this.element.hidden = !this.element.hidden;
    this.button.setAttribute("aria-expanded", String(!this.element.hidden));
    if (!this.element.hidden) void this.#tell();
  }

  /** One question at a time; after the last draw one more. */
  async #tell(): Promise<void> {
    this.#again = true;
    if (this.#asking) return;
    this.#asking = true;
    while (this.#again && !this.element.hidden) {
      this.#again = false;
      try {
        const asked = now();
        const story = await this.#ask(this.#spec);
        this.#draw(story, story && this.#stamps && partsOf(story, this.#stamps, asked, now()));
      } catch (error) {
        setText(this.#words, (error as Error).message);
      }
    }
    this.#asking = false;
  }

  #draw(story: Story | null, parts: readonly Part[] | null): void {
    setText(this.#words, story ? wordsOf(story) : "The deployment does not know any more.");
    const all = parts ?? [];
    const whole = all.reduce((sum, { ms }) => sum + ms, 0);
    this.#parts.replaceChildren(...all.map((part) => partElement(part, whole)));
    if (all.length > 1) this.#parts.append(el("span", { class: "whole", text: msText(whole) }));
    this.element.dataset.whole = String(whole);
    this.element.dataset.painted = String(this.#stamps?.painted ?? 0);
    this.button.classList.toggle(
      "slow",
      all.some(({ ms }) => ms > SLOW_MS),
    );
  }
}

/** `changed by tasks:update · 12 documents read in 3 ms`. */
export function wordsOf({ cause, documentsRead, functionMs }: Story): string {
  const read = `${count(documentsRead, "document")} read in ${msText(functionMs)}`;
  if (!cause) return `as it was when it was first asked for · ${read}`;
  const { mutations, commits } = cause;
  const others = commits - mutations.length;
  const names = mutations.join(", ") || "a push, an import or another table's index";
  const more = others > 0 ? ` and ${count(others, "other commit")} at once` : "";
  return `changed by ${names}${more} · ${read}`;
}

/**
 * Where the time went; null if the story is of a newer run than what is shown, which came
 * to the same result.
 */
export function partsOf(
  story: Story,
  { received, painted }: Stamps,
  asked: number,
  answered: number,
): Part[] | null {
  const send = received - (story.knownAt - clockAhead(story.now, asked, answered));
  if (send < -1) return null;
  const here: Part[] = [
    { name: "send", ms: Math.max(0, send) },
    { name: "paint", ms: painted - received },
  ];
  // What was there before we asked has no way of its own.
  if (!story.cause) return here.slice(1);
  const { commitMs, runMs } = story.cause;
  return [{ name: "commit", ms: commitMs }, { name: "run", ms: runMs }, ...here];
}

/** How far the deployment's clock is ahead; not at all, where that can be. */
export function clockAhead(theirs: number, asked: number, answered: number): number {
  const ahead = theirs - (asked + answered) / 2;
  return Math.abs(ahead) <= (answered - asked) / 2 ? 0 : ahead;
}

function partElement({ name, ms }: Part, whole: number): HTMLElement {
  return el(
    "span",
    { class: ms > SLOW_MS ? "part slow" : "part", "data-part": name, "data-ms": ms },
    el("span", { class: "length", style: `width:${(100 * ms) / Math.max(whole, 1)}%` }),
    `${name} ${msText(ms)}`,
  );
}

function msText(ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms).toLocaleString("en")} ms`;
}
