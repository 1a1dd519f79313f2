/**
 * The slider through the past of one query: right is now, left is as far back as was said.
 *
 *   live ──moved left──▶ past (as of a moment, asked for anew with each move) ──moved right──▶ live
 *
 * A moment of the past can be kept: from then on what one moves to, and what is now, is
 * compared with it.
 */
import type { Value } from "convex/values";
import { el, setText } from "./dom.ts";
import { timeText } from "./value.ts";

const STEPS = 1_000;
const PAUSE_MS = 60;

export interface PastEvents {
  /** The query's result as of a moment in ms. */
  ask(moment: number): Promise<Value>;
  show(value: Value): void;
  failed(error: Error): void;
  /** Back to what is now. */
  live(): void;
}

/** A result of the past, and of when it is. */
interface Then {
  readonly moment: number;
  readonly value: Value;
}

export class Past {
  readonly element: HTMLElement;
  readonly #events: PastEvents;
  readonly #back: number;
  readonly #compares: boolean;
  readonly #slider = el("input", {
    type: "range",
    min: 0,
    max: STEPS,
    value: STEPS,
    "aria-label": "moment",
  });
  readonly #label = el("output", { class: "moment" });
  readonly #return = button("back to now", "What is now, and what comes");
  readonly #compare = button("compare with now", "What has changed since this moment");
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Of several moves only what was asked for last is shown. */
  #asked = 0;
  /** The moment that the slider is at; null: now. */
  #moment: number | null = null;
  /** The past in sight: set by an answer, cleared by a move. */
  #seen: Then | null = null;
  /** What others are compared with. */
  #kept: Then | null = null;

  /** `compares`: whether a moment can be kept; not where a view reads its own rows. */
  constructor(seconds: number, compares: boolean, events: PastEvents) {
    this.#back = seconds * 1_000;
    this.#events = events;
    this.#compares = compares;
    this.#return.addEventListener("click", () => this.#toNow());
    this.#compare.addEventListener("click", () => (this.#kept ? this.#letGo() : this.#keep()));
    this.#slider.addEventListener("input", () => this.#moved());
    this.element = el(
      "div",
      { class: "past" },
      this.#slider,
      this.#label,
      this.#compare,
      this.#return,
    );
    this.#draw();
  }

  get isLive(): boolean {
    return this.#moment === null;
  }

  /** The kept value and another one, the earlier first; null: there is nothing to compare. */
  pairWith(value: Value): readonly [Value, Value] | null {
    const kept = this.#kept;
    if (!kept) return null;
    const isLater = this.#moment === null || this.#moment >= kept.moment;
    return isLater ? [kept.value, value] : [value, kept.value];
  }

  #toNow(): void {
    this.#slider.value = String(STEPS);
    this.#moved();
    this.#slider.focus();
  }

  #keep(): void {
    this.#kept = this.#seen;
    this.#toNow();
  }

  #letGo(): void {
    this.#kept = null;
    this.#draw();
    if (this.#seen) this.#events.show(this.#seen.value);
    else if (this.isLive) this.#events.live();
    this.#slider.focus();
  }

  #moved(): void {
    clearTimeout(this.#pause);
    this.#asked += 1;
    this.#seen = null;
    const place = Number(this.#slider.value) / STEPS;
    const moment = place === 1 ? null : Date.now() - this.#back * (1 - place);
    this.#moment = moment;
    this.#draw();
    if (moment === null) this.#events.live();
    else this.#pause = setTimeout(() => void this.#ask(moment), PAUSE_MS);
  }

  #draw(): void {
    const text = spanText(this.#kept?.moment ?? null, this.#moment);
    setText(this.#label, text);
    this.#slider.setAttribute("aria-valuetext", text);
    this.#return.hidden = this.isLive;
    this.#compare.hidden = !this.#compares || (this.isLive && !this.#kept);
    this.#compare.disabled = !this.#kept && !this.#seen;
    setText(this.#compare, this.#kept ? "stop comparing" : "compare with now");
  }

  async #ask(moment: number): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    const latest = () => asked === this.#asked;
    try {
      const value = await this.#events.ask(moment);
      if (!latest()) return;
      this.#seen = { moment, value };
      this.#draw();
      this.#events.show(value);
    } catch (error) {
      if (latest()) this.#events.failed(error as Error);
    }
  }
}

/** `2026-11-23 09:00:12 → now`: from the earlier to the later, the day said once. */
export function spanText(kept: number | null, moment: number | null): string {
  const text = (at: number | null) => (at === null ? "now" : timeText(at));
  if (kept === null) return text(moment);
  const [from, to] = (moment ?? Infinity) >= kept ? [kept, moment] : [moment, kept];
  const [first, second] = [text(from), text(to)];
  const isOneDay = first.slice(0, 10) === second.slice(0, 10);
  return `${first} → ${isOneDay ? second.slice(11) : second}`;
}

function button(text: string, title: string): HTMLButtonElement {
  return el("button", { type: "button", class: "tool", text, title });
}
