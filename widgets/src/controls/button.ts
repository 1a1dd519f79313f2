/** A button: one mutation, with the arguments that its cell gave. */
import { el } from "../dom.ts";
import type { Source } from "../source.ts";
import { preview } from "../value.ts";
import type { Action } from "./control.ts";
import { Outcome } from "./outcome.ts";

export function buttonControl(action: Action, source: Source): HTMLElement {
  const outcome = new Outcome();
  const label = action.label ?? action.path;
  const button = el("button", { type: "button", class: "primary", text: label });
  button.title = `${action.path} ${preview(action.args)}`;
  button.addEventListener("click", () => {
    if (outcome.isAtWork) return; // a double click is one press
    void outcome.of(button, () => source.call("mutation", action.path, action.args));
  });
  return el("div", { class: "control" }, el("div", { class: "line" }, button, outcome.element));
}
