/** The detail below a table: the whole of one cell, live, as a tree. */
import { el, setText } from "../dom.ts";
import { treeView } from "../views/tree.ts";
import type { View } from "../views/view.ts";
import type { RowSet } from "./rows.ts";
import type { Spot } from "./selection.ts";

export class Detail {
  readonly element = el("section", { class: "detail", hidden: true, "aria-label": "cell" });
  readonly #title = el("span", { class: "where" });
  readonly #place = el("div", { class: "whole" });
  readonly #back: () => void;
  /** Set by opening, cleared by closing; the view is made anew for each cell. */
  #open: { spot: Spot; view: View } | null = null;

  constructor(back: () => void) {
    this.#back = back;
    const close = el("button", {
      class: "close",
      type: "button",
      "aria-label": "Close",
      text: "×",
    });
    close.addEventListener("click", () => this.#leave());
    this.element.append(el("div", { class: "bar" }, this.#title, close), this.#place);
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#leave();
    });
  }

  open(spot: Spot, rows: RowSet): void {
    const view = treeView();
    this.#open = { spot, view };
    this.#place.replaceChildren(view.element);
    this.element.hidden = false;
    this.refresh(rows);
  }

  refresh(rows: RowSet): void {
    if (!this.#open) return;
    const { spot, view } = this.#open;
    const row = rows.get(spot.row);
    const place = rows.place(spot.row);
    const value = row?.[spot.column];
    const where = place === undefined ? "this row is no longer in the result" : `row ${place + 1}`;
    setText(
      this.#title,
      value === undefined && row
        ? `${where} · ${spot.column}: missing`
        : `${where} · ${spot.column}`,
    );
    this.#place.hidden = row !== undefined && value === undefined;
    if (value !== undefined) view.draw(value);
  }

  /** Whether there was something to close. */
  close(): boolean {
    const open = this.#open !== null;
    this.#open = null;
    this.element.hidden = true;
    return open;
  }

  #leave(): void {
    this.close();
    this.#back();
  }
}
