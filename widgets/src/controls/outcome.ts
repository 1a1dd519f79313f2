/** What became of a press: at work, done and what it gave, or refused and why. */
import type { Value } from "convex/values";
import { el, setText } from "../dom.ts";
import { preview } from "../value.ts";

export class Outcome {
  readonly element = el("span", { class: "outcome", role: "status" });

  /** Runs once at a time: the button is off meanwhile. */
  async of(button: HTMLButtonElement, run: () => Promise<Value>): Promise<boolean> {
    button.disabled = true;
    this.#say("working", "…");
    try {
      const value = await run();
      this.#say("done", value === null ? "done" : `done: ${preview(value)}`);
      return true;
    } catch (error) {
      this.#say("refused", error instanceof Error ? error.message : String(error));
      return false;
    } finally {
      button.disabled = false;
    }
  }

  clear(): void {
    this.#say("", "");
  }

  #say(said: "" | "working" | "done" | "refused", text: string): void {
    this.element.dataset.said = said;
    setText(this.element, text);
  }
}
