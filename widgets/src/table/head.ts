/** The column heads: names, types, sorting and widths. They stay in sight. */
import { el, setText } from "../dom.ts";
import type { Column } from "./columns.ts";
import type { Sorting } from "./rows.ts";

export interface HeadEvents {
  sort(column: string): void;
  /** The widths of the columns, as CSS grid tracks. */
  resized(template: string): void;
}

const HEAD_PX = 44;
const LEAST_PX = 48;
const STEP_PX = 16;

let made = 0;

interface Heading {
  readonly cell: HTMLElement;
  readonly name: HTMLElement;
  readonly type: HTMLElement;
}

export class Head {
  readonly element = el("div", { class: "head", role: "row", "aria-rowindex": 1 });
  readonly height = HEAD_PX;
  readonly #events: HeadEvents;
  readonly #id = `convexlab-head-${++made}`;
  readonly #headings = new Map<string, Heading>();
  /** A column keeps the width it was first given, so that nothing shifts; pixels once the user has set one. */
  readonly #widths = new Map<string, string>();
  #columns: readonly Column[] = [];
  #template = "";

  constructor(events: HeadEvents) {
    this.#events = events;
  }

  draw(columns: readonly Column[], sorting: Sorting | null): void {
    this.#columns = columns;
    const names = new Set(columns.map((column) => column.name));
    for (const [name, heading] of this.#headings) {
      if (names.has(name)) continue;
      heading.cell.remove();
      this.#headings.delete(name);
    }
    for (const [at, column] of columns.entries()) this.#drawHeading(at, column, sorting);
    this.#layOut();
  }

  drawActive(column: string | null): string | null {
    let id: string | null = null;
    for (const [name, { cell }] of this.#headings) {
      cell.classList.toggle("active", name === column);
      if (name === column) id = cell.id;
    }
    return id;
  }

  /** One step wider (1) or narrower (-1). */
  widen(column: string, step: number): void {
    const cell = this.#headings.get(column)?.cell;
    if (cell) this.#setWidth(column, cell.offsetWidth + step * STEP_PX);
  }

  reveal(column: string, scroller: HTMLElement): void {
    const cell = this.#headings.get(column)?.cell;
    if (!cell) return;
    const [left, right] = [cell.offsetLeft, cell.offsetLeft + cell.offsetWidth];
    if (left < scroller.scrollLeft) scroller.scrollLeft = left;
    else if (right > scroller.scrollLeft + scroller.clientWidth) {
      scroller.scrollLeft = Math.min(left, right - scroller.clientWidth);
    }
  }

  #drawHeading(at: number, column: Column, sorting: Sorting | null): void {
    const heading = this.#headings.get(column.name) ?? this.#make(column.name);
    const { cell, name, type } = heading;
    if (this.element.children[at] !== cell) {
      this.element.insertBefore(cell, this.element.children[at] ?? null);
    }
    cell.setAttribute("aria-colindex", String(at + 1));
    cell.classList.toggle("numeric", column.numeric);
    const order = sorting?.column === column.name ? sorting.direction : null;
    cell.setAttribute(
      "aria-sort",
      order === null ? "none" : order === "asc" ? "ascending" : "descending",
    );
    setText(name, column.name);
    setText(type, column.type);
  }

  #make(column: string): Heading {
    const name = el("span", { class: "name" });
    const type = el("span", { class: "type" });
    const grip = el("span", { class: "grip", "aria-hidden": "true" });
    const cell = el(
      "div",
      {
        class: "heading",
        role: "columnheader",
        id: `${this.#id}-${this.#headings.size}-${column}`,
        title: "Click to sort",
      },
      el("span", { class: "title" }, name, el("span", { class: "arrow", "aria-hidden": "true" })),
      type,
      grip,
    );
    cell.addEventListener("click", () => this.#events.sort(column));
    grip.addEventListener("click", (event) => event.stopPropagation());
    grip.addEventListener("pointerdown", (event) => this.#drag(event, column, cell));
    grip.addEventListener("dblclick", () => this.#forget(column));
    const heading = { cell, name, type };
    this.#headings.set(column, heading);
    return heading;
  }

  #drag(event: PointerEvent, column: string, cell: HTMLElement): void {
    event.preventDefault();
    const grip = event.currentTarget as HTMLElement;
    const from = event.clientX - cell.offsetWidth;
    const move = (to: PointerEvent) => this.#setWidth(column, to.clientX - from);
    grip.setPointerCapture(event.pointerId);
    grip.addEventListener("pointermove", move);
    grip.addEventListener(
      "lostpointercapture",
      () => grip.removeEventListener("pointermove", move),
      { once: true },
    );
  }

  #setWidth(column: string, px: number): void {
    this.#widths.set(column, `${Math.max(LEAST_PX, Math.round(px))}px`);
    this.#layOut();
  }

  /** Back to a width for what is in the column now. */
  #forget(column: string): void {
    this.#widths.delete(column);
    this.#layOut();
  }

  #layOut(): void {
    const tracks = this.#columns.map(({ name, digits }) => {
      const width = this.#widths.get(name) ?? `calc(${digits}ch + 20px)`;
      this.#widths.set(name, width);
      return width;
    });
    const template = `${tracks.join(" ")} minmax(0, 1fr)`;
    if (template === this.#template) return;
    this.#template = template;
    this.#events.resized(template);
  }
}
