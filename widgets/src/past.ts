/**
 * The slider through the past of one query: right is now, left is as far back as was said.
 *
 *   live ──moved left──▶ past (as of a moment, asked for anew with each move) ──moved right──▶ live
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

export class Past {
  readonly element: HTMLElement;
  readonly #events: PastEvents;
  readonly #back: number;
  readonly #slider = el("input", {
    type: "range",
    min: 0,
    max: STEPS,
    value: STEPS,
    "aria-label": "moment",
  });
  readonly #label = el("output", { class: "moment", text: "now" });
  readonly #return = el("button", {
    type: "button",
    class: "tool",
    text: "back to now",
    hidden: true,
  });
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Of several moves only what was asked for last is shown. */
  #asked = 0;

  constructor(seconds: number, events: PastEvents) {
    this.#back = seconds * 1_000;
    this.#events = events;
    this.#return.addEventListener("click", () => {
      this.#slider.value = String(STEPS);
      this.#moved();
      this.#slider.focus();
    });
    this.#slider.addEventListener("input", () => this.#moved());
    this.element = el("div", { class: "past" }, this.#slider, this.#label, this.#return);
  }

  get isLive(): boolean {
    return Number(this.#slider.value) === STEPS;
  }

  #moved(): void {
    clearTimeout(this.#pause);
    this.#asked += 1;
    this.#return.hidden = this.isLive;
    if (this.isLive) {
      setText(this.#label, "now");
      this.#events.live();
      return;
    }
    const moment = Date.now() - this.#back * (1 - Number(this.#slider.value) / STEPS);
    setText(this.#label, timeText(moment));
    this.#pause = setTimeout(() => void this.#ask(moment), PAUSE_MS);
  }

  async #ask(moment: number): Promise<void> {
    this.#asked += 1;
    const asked = this.#asked;
    const latest = () => asked === this.#asked;
    try {
      const value = await this.#events.ask(moment);
      if (latest()) this.#events.show(value);
    } catch (error) {
      if (latest()) this.#events.failed(error as Error);
    }
  }
}
