/** A sign over the rows that other ones are awaited, and what for; only where that takes a while. */
import { el, setText } from "../dom.ts";

/** What comes sooner needs no sign. */
const PATIENCE_MS = 200;

export class Progress {
  readonly element = el("div", { class: "progress", role: "status" });
  readonly #sign = el("span", { hidden: true });
  #pause: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.element.append(this.#sign);
  }

  /** Something is awaited, in the place of what was awaited before. */
  begin(what: string): void {
    clearTimeout(this.#pause);
    const show = () => {
      setText(this.#sign, `${what}…`);
      this.#sign.hidden = false;
    };
    if (this.#sign.hidden) this.#pause = setTimeout(show, PATIENCE_MS);
    else show();
  }

  end(): void {
    clearTimeout(this.#pause);
    this.#sign.hidden = true;
  }
}
