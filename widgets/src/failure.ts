/** What is wrong, in a box: what failed, and why in the deployment's words. */
import { el } from "./dom.ts";
import { MIME } from "./spec.ts";

export function failureBox(title: string, message: string): HTMLElement {
  return el(
    "div",
    { class: "failure", "data-mime": MIME },
    el("strong", { text: title }),
    el("pre", { text: message }),
  );
}
