/**
 * The editor of a cell: it lies over the cell, and what it takes is a mutation's.
 *
 *   closed ──Enter, double click──▶ open ──Enter──▶ saving ──▶ closed
 *                                    │  ▲             └─ refused: the reason, at the cell
 *                                    └──Escape──▶ closed
 *
 * The row may move, change or go meanwhile: the editor stays on its row, and what
 * was typed stays typed. What is refused while another cell is edited comes back
 * after that one.
 */
import type { Value } from "convex/values";
import { el } from "../dom.ts";
import { type Field, type Input, InputError, inputFor } from "../inputs.ts";
import { preview, sameValue } from "../value.ts";
import type { RowSet } from "./rows.ts";
import type { Spot } from "./selection.ts";
import { ROW_PX } from "./viewport.ts";

export interface Save {
  readonly field: Field;
  /** Fails with what the deployment says. */
  run(value: Value): Promise<unknown>;
}

interface Open {
  readonly spot: Spot;
  readonly before: Value | undefined;
  readonly input: Input;
  readonly save: Save;
  readonly left: number;
  readonly width: number;
}

export class Editor {
  readonly #body: HTMLElement;
  readonly #back: () => void;
  readonly #box = el("div", { class: "editor", role: "gridcell", hidden: true });
  /** To a grid, a cell is in a row; the box lies where it is put. */
  readonly #line = el("div", { role: "row", hidden: true }, this.#box);
  readonly #reason = el("div", { class: "refusal", role: "alert", hidden: true });
  #open: Open | null = null;
  /** What was refused while another cell was edited, the last one first. */
  readonly #refused: (readonly [Open, why: string])[] = [];
  /** The rows as they are by now. */
  #rows: RowSet | null = null;
  /** How many edits are on their way. */
  #saving = 0;
  /** Which row the box lies over: of what is open, or of what was refused. */
  #row = "";

  constructor(body: HTMLElement, back: () => void) {
    this.#body = body;
    this.#back = back;
    this.#box.addEventListener("keydown", (event) => this.#key(event));
    // N.B. the grid would take a press for a selection, and the keyboard with it.
    for (const type of ["mousedown", "dblclick", "copy"]) {
      this.#box.addEventListener(type, (event) => event.stopPropagation());
    }
  }

  open(spot: Spot, value: Value | undefined, cell: HTMLElement, save: Save): void {
    const input = inputFor(save.field);
    input.write(value);
    input.element.setAttribute("aria-label", `new ${spot.column}`);
    const [left, width] = [cell.offsetLeft, Math.max(cell.offsetWidth, 120)];
    this.#lay({ spot, before: value, input, save, left, width });
    input.element.focus({ preventScroll: true });
    if (input.element instanceof HTMLInputElement) input.element.select();
  }

  #lay(open: Open): void {
    this.#open = open;
    this.#row = open.spot.row;
    this.#reason.hidden = true;
    this.#box.replaceChildren(open.input.element, this.#reason);
    this.#box.style.left = `${open.left}px`;
    this.#box.style.width = `${open.width}px`;
    this.#show(true);
    this.#body.append(this.#line);
    // N.B. before somebody types: the page would scroll to wherever it lay before.
    if (this.#rows) this.follow(this.#rows);
  }

  #show(shown: boolean): void {
    this.#box.hidden = this.#line.hidden = !shown;
  }

  /** Rows were drawn: stay on ours. */
  follow(rows: RowSet): void {
    this.#rows = rows;
    if (this.#box.hidden) return;
    const place = rows.place(this.#row);
    if (place === undefined) this.#say("This row is no longer in the result.");
    else this.#box.style.transform = `translateY(${place * ROW_PX}px)`;
  }

  #key(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key === "Escape") this.#close();
    else if (event.key === "Enter" && !event.shiftKey) void this.#save();
    else return;
    event.preventDefault();
  }

  async #save(): Promise<void> {
    const open = this.#open;
    if (!open) return this.#close();
    try {
      const value = open.input.read();
      if (value === undefined) throw new InputError("A field cannot be emptied here.");
      if (sameValue(value, open.before)) return this.#close();
      if (this.#isOvertaken(open)) return;
      this.#close();
      await this.#saved(open.save.run(value));
    } catch (error) {
      this.#refuse(open, error);
    }
  }

  /** Somebody else was quicker: whoever sees that may still write over it. */
  #isOvertaken(open: Open): boolean {
    const row = this.#rows?.get(open.spot.row);
    const now = row?.[open.spot.column];
    if (!row || sameValue(now, open.before)) return false;
    this.#open = { ...open, before: now };
    this.#say(`By now this is ${preview(now)}. Enter again writes over it.`);
    return true;
  }

  /** What is shown is not stored before the deployment has said so: until then the rows are busy. */
  async #saved(saving: Promise<unknown>): Promise<void> {
    this.#saving += 1;
    this.#body.setAttribute("aria-busy", "true");
    try {
      await saving;
    } finally {
      this.#saving -= 1;
      if (this.#saving === 0) this.#body.removeAttribute("aria-busy");
    }
  }

  /**
   * What was typed comes back, with why it was not taken; if another cell is edited by now,
   * that is said there. Whoever has gone on elsewhere keeps the focus.
   */
  #refuse(open: Open, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    if (this.#open && this.#open !== open) {
      this.#refused.unshift([open, why]);
      this.#say(`${open.spot.column} was not changed: ${why}`);
    } else this.#return(open, why);
  }

  #return(open: Open, why: string): void {
    const isHere = this.#isHere();
    if (this.#open !== open) this.#lay(open);
    this.#say(why);
    if (isHere) open.input.element.focus({ preventScroll: true });
  }

  /** Whether the focus is in the table: on its cells, or here. */
  #isHere(): boolean {
    const { activeElement } = this.#body.getRootNode() as Document | ShadowRoot;
    return activeElement?.contains(this.#body) || this.#body.contains(activeElement);
  }

  #say(reason: string): void {
    this.#reason.textContent = reason;
    this.#reason.hidden = false;
  }

  #close(): void {
    this.#open = null;
    this.#show(false);
    this.#back();
    const refused = this.#refused.shift();
    if (refused) this.#return(...refused);
  }
}
