/**
 * What became of a press: at work, done and what it gave, or refused and why.
 *
 * Where several are at work at once, a refusal stays until something else is pressed: who
 * does the next thing meanwhile must not miss that the one before was not done.
 */
import type { Value } from "convex/values";
import { el, setText } from "../dom.ts";
import { preview } from "../value.ts";

export class Outcome {
  readonly element = el("span", { class: "outcome", role: "status" });
  /** How many are at work. */
  #atWork = 0;

  get isAtWork(): boolean {
    return this.#atWork > 0;
  }

  /**
   * Runs it: the button looks off meanwhile.
   *
   * N.B. it is not disabled, since what is disabled loses the focus; whoever listens to it
   * asks `isAtWork`.
   */
  async of(button: HTMLButtonElement, run: () => Promise<Value>): Promise<boolean> {
    this.#begin(button, 1);
    this.#say("working", "…");
    try {
      const value = await run();
      const isLast = this.#atWork === 1 && this.element.dataset.said !== "refused";
      if (isLast) this.#say("done", value === null ? "done" : `done: ${preview(value)}`);
      return true;
    } catch (error) {
      this.#say("refused", error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      this.#begin(button, -1);
    }
  }

  #begin(button: HTMLButtonElement, more: 1 | -1): void {
    this.#atWork += more;
    button.setAttribute("aria-disabled", String(this.isAtWork));
  }

  clear(): void {
    this.#say("", "");
  }

  #say(said: "" | "working" | "done" | "refused", text: string): void {
    this.element.dataset.said = said;
    setText(this.element, text);
  }
}
