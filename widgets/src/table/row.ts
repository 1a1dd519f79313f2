/** One row element: drawn for one row key at a time, its cells changed only where their texts differ. */
import { calm, el, flash, setText } from "../dom.ts";
import { type Cell, kindOf, preview, sameValue } from "../value.ts";
import type { Column } from "./columns.ts";
import type { Row, RowKey } from "./rows.ts";
import type { Area, Spot } from "./selection.ts";
import { ROW_PX } from "./viewport.ts";

let made = 0;

/** What became of a cell, where that is to be seen. */
export type MarkAt = (key: RowKey, column: string) => string | undefined;

export class RowElement {
  readonly element = el("div", { class: "row", role: "row" });
  readonly #id = `convexlab-row-${++made}`;
  readonly #cells: HTMLElement[] = [];
  #key: RowKey = "";
  #place = -1;

  /** Takes the element over for another row. */
  assign(key: RowKey): void {
    if (this.#key === key) return;
    this.#key = key;
    this.element.dataset.key = key;
    for (const cell of this.#cells) calm(cell);
  }

  /** A row that is not here yet is drawn as such. */
  draw(place: number, row: Row | undefined, columns: readonly Column[], markAt?: MarkAt): void {
    this.element.classList.toggle("away", row === undefined);
    if (this.#place !== place) {
      this.#place = place;
      this.element.style.transform = `translateY(${place * ROW_PX}px)`;
      this.element.setAttribute("aria-rowindex", String(place + 2));
      this.element.classList.toggle("odd", place % 2 === 1);
    }
    while (this.#cells.length > columns.length) this.#cells.pop()?.remove();
    for (const [at, column] of columns.entries()) {
      const cell = this.#cell(at);
      drawCell(cell, row?.[column.name], column);
      if (markAt) cell.dataset.mark = markAt(this.#key, column.name) ?? "";
    }
  }

  flashChanges(before: Row | undefined, now: Row, columns: readonly Column[]): void {
    for (const [at, { name }] of columns.entries()) {
      if (before === undefined || !sameValue(before[name], now[name])) flash(this.#cell(at));
    }
  }

  drawSelection(area: Area | null, active: Spot | null, names: readonly string[]): void {
    const inside = area !== null && this.#place >= area.top && this.#place <= area.bottom;
    for (const [at, cell] of this.#cells.entries()) {
      const selected = inside && at >= area.left && at <= area.right;
      if ((cell.getAttribute("aria-selected") === "true") !== selected) {
        cell.setAttribute("aria-selected", String(selected));
      }
      cell.toggleAttribute("data-active", active?.row === this.#key && active.column === names[at]);
    }
  }

  idOf(column: number): string | undefined {
    return this.#cells[column]?.id;
  }

  cellOf(column: number): HTMLElement | undefined {
    return this.#cells[column];
  }

  #cell(at: number): HTMLElement {
    let cell = this.#cells[at];
    if (!cell) {
      cell = el("div", {
        role: "gridcell",
        id: `${this.#id}-${at}`,
        "data-column": at,
        "aria-colindex": at + 1,
        "aria-selected": "false",
      });
      this.#cells.push(cell);
      this.element.append(cell);
    }
    return cell;
  }
}

function drawCell(cell: HTMLElement, value: Cell, column: Column): void {
  const kind = kindOf(value, column.name);
  const look = column.numeric ? `cell ${kind} numeric` : `cell ${kind}`;
  if (cell.className !== look) cell.className = look;
  setText(cell, preview(value, kind));
}
