/**
 * The table: a grid of any length that stands still while its rows change.
 *
 *   value ─▶ rows ─▶ sorted ─▶ the span in sight ─▶ row elements (≤ MAX_DRAWN)
 *
 * Row elements belong to row keys, so a row that stays in sight keeps its
 * element. Invariants: scroll position, selection, widths and the open detail
 * are changed by the user only.
 */
import type { Value } from "convex/values";
import { el } from "../dom.ts";
import { full } from "../value.ts";
import { count } from "../views/tree.ts";
import type { View } from "../views/view.ts";
import { type Column, columnsOf, MAX_COLUMNS, tabbed } from "./columns.ts";
import { Detail } from "./detail.ts";
import { Head } from "./head.ts";
import { RowElement } from "./row.ts";
import { nextSorting, type RowKey, Rows, rowsOf, type Sorting } from "./rows.ts";
import { areaOf, HEAD, kept, motionOf, moved, type Selection, type Spot } from "./selection.ts";
import { anchored, drawn, ROW_PX, revealing } from "./viewport.ts";

/** A table before it has a size, as while its output is not yet on the page. */
const UNSEEN_PX = 420;
const TOOLTIP_CHARS = 2_000;

export class TableView implements View {
  readonly element: HTMLElement;
  readonly #told: readonly string[] | null;
  readonly #scroller = el("div", {
    class: "scroller",
    role: "grid",
    tabindex: 0,
    "aria-multiselectable": "true",
  });
  readonly #body = el("div", { class: "rows", role: "rowgroup" });
  readonly #head: Head;
  readonly #detail = new Detail(() => this.#scroller.focus());
  /** Rows as the query gave them, and as they are shown. */
  #given = Rows.none;
  #rows = Rows.none;
  #columns: readonly Column[] = [];
  #hiddenColumns = 0;
  #more = false;
  #sorting: Sorting | null = null;
  #selection: Selection | null = null;
  /** The row elements in the document, by row. */
  readonly #drawn = new Map<RowKey, RowElement>();
  readonly #spare: RowElement[] = [];
  /** Where the user has scrolled to: kept here, since a detached element forgets it. */
  #scrollTop = 0;
  #drawnOnce = false;

  constructor(told: readonly string[] | null, signal: AbortSignal) {
    this.#told = told;
    this.#head = new Head({
      sort: (column) => this.#sort(column),
      resized: (template) => this.element.style.setProperty("--columns", template),
    });
    this.#scroller.append(this.#head.element, this.#body);
    this.element = el("div", { class: "table" }, this.#scroller, this.#detail.element);
    this.#listen(signal);
  }

  draw(value: Value): void {
    const before = this.#rows;
    this.#given = rowsOf(value) ?? Rows.none;
    this.#more = !Array.isArray(value) && (value as { isDone?: Value }).isDone === false;
    this.#rows = this.#given.sorted(this.#sorting);
    this.#setColumns();
    this.#selection = kept(this.#selection, this.#rows);
    this.#resize();
    this.#scrollTo(anchored(before, this.#rows, this.#scrollTop));
    this.#paint(this.#drawnOnce ? before : null);
    this.#detail.refresh(this.#rows);
    this.#drawnOnce = true;
  }

  summary(): string {
    const rows = this.#rows.count;
    const parts = [`showing ${rows.toLocaleString("en")} of ${count(rows, "row")}`];
    if (this.#more) parts[0] = `showing ${count(rows, "row")}, there are more`;
    if (this.#hiddenColumns > 0) {
      parts.push(
        `${this.#columns.length} of ${this.#columns.length + this.#hiddenColumns} columns`,
      );
    } else if (this.#columns.length > 0) parts.push(count(this.#columns.length, "column"));
    if (this.#sorting) parts.push(`sorted here by ${this.#sorting.column}`);
    return parts.join(" · ");
  }

  get #names(): string[] {
    return this.#columns.map((column) => column.name);
  }

  #setColumns(): void {
    const all = columnsOf(this.#given.records, this.#told);
    this.#columns = all.slice(0, MAX_COLUMNS);
    this.#hiddenColumns = all.length - this.#columns.length;
    this.#head.draw(this.#columns, this.#sorting);
  }

  #sort(column: string): void {
    this.#sorting = nextSorting(this.#sorting, column);
    this.#rows = this.#given.sorted(this.#sorting);
    this.#head.draw(this.#columns, this.#sorting);
    this.#scrollTo(0);
    this.#paint(null);
    this.element.dispatchEvent(new CustomEvent("convexlab:summary", { bubbles: true }));
  }

  #resize(): void {
    this.#body.style.height = `${this.#rows.count * ROW_PX}px`;
    this.#scroller.setAttribute("aria-rowcount", String(this.#rows.count + 1));
    this.#scroller.setAttribute("aria-colcount", String(this.#columns.length));
    this.element.classList.toggle("empty", this.#rows.count === 0);
  }

  #scrollTo(top: number): void {
    const most = Math.max(0, this.#rows.count * ROW_PX - this.#height);
    this.#scrollTop = Math.max(0, Math.min(top, most));
    this.#scroller.scrollTop = this.#scrollTop;
  }

  get #height(): number {
    return (this.#scroller.clientHeight || UNSEEN_PX) - this.#head.height;
  }

  /** Draws the span in sight. What differs from `before` flashes; null: nothing does. */
  #paint(before: Rows | null): void {
    const span = drawn(this.#scrollTop, this.#height, this.#rows.count);
    const wanted = new Set(this.#rows.keys.slice(span.start, span.end));
    for (const [key, row] of this.#drawn) {
      if (wanted.has(key)) continue;
      this.#drawn.delete(key);
      this.#spare.push(row);
    }
    for (let place = span.start; place < span.end; place++) this.#paintRow(place, before);
    for (const row of this.#spare.splice(0)) row.element.remove();
    this.#paintSelection();
  }

  #paintRow(place: number, before: Rows | null): void {
    const key = this.#rows.keys[place] as RowKey;
    let row = this.#drawn.get(key);
    if (!row) {
      row = this.#spare.pop() ?? new RowElement();
      row.assign(key);
      this.#drawn.set(key, row);
      if (!row.element.parentNode) this.#body.append(row.element);
    }
    row.draw(place, this.#rows.records[place] ?? {}, this.#columns);
    if (before) row.flashChanges(before.get(key), this.#rows.records[place] ?? {}, this.#columns);
  }

  #paintSelection(): void {
    const names = this.#names;
    const area = this.#selection && areaOf(this.#selection, this.#rows, names);
    const active = this.#selection?.active ?? null;
    for (const row of this.#drawn.values()) row.drawSelection(area, active, names);
    const head = active?.row === HEAD ? active.column : null;
    const id =
      this.#head.drawActive(head) ??
      (active && this.#drawn.get(active.row)?.idOf(names.indexOf(active.column)));
    if (id) this.#scroller.setAttribute("aria-activedescendant", id);
    else this.#scroller.removeAttribute("aria-activedescendant");
  }

  #listen(signal: AbortSignal): void {
    const scroller = this.#scroller;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    scroller.addEventListener("keydown", (event) => this.#key(event));
    scroller.addEventListener("mousedown", (event) => this.#press(event));
    scroller.addEventListener("mouseover", (event) => this.#hover(event));
    scroller.addEventListener("dblclick", () => this.#open());
    scroller.addEventListener("copy", (event) => this.#copy(event as ClipboardEvent));
    scroller.addEventListener("focus", () => this.#focused());
    const sizes = new ResizeObserver(() => this.#shown());
    sizes.observe(scroller);
    signal.addEventListener("abort", () => sizes.disconnect());
  }

  #scrolled(): void {
    if (!this.#scroller.isConnected || this.#scroller.clientHeight === 0) return;
    this.#scrollTop = this.#scroller.scrollTop;
    this.#paint(null);
  }

  /** On the page (again), or of another size: a notebook takes outputs out of sight out of the document. */
  #shown(): void {
    if (this.#scroller.clientHeight === 0) return;
    if (this.#scroller.scrollTop !== this.#scrollTop) this.#scroller.scrollTop = this.#scrollTop;
    this.#paint(null);
  }

  /** There is an active cell as long as the keyboard is here. */
  #focused(): void {
    if (this.#selection || this.#rows.count === 0) return;
    const span = drawn(this.#scrollTop, this.#height, this.#rows.count);
    const first = Math.max(span.start, Math.floor(this.#scrollTop / ROW_PX));
    const spot = { row: this.#rows.keys[first] as RowKey, column: this.#names[0] ?? "" };
    this.#select(spot, false);
  }

  #key(event: KeyboardEvent): void {
    const far = event.ctrlKey || event.metaKey;
    const page = Math.max(1, Math.floor(this.#height / ROW_PX) - 1);
    const motion = motionOf(event.key, far, page);
    if (motion) this.#focused();
    const active = this.#selection?.active;
    if (motion && active && event.altKey) {
      this.#head.widen(active.column, Math.sign(motion.columns));
    } else if (motion && active) {
      this.#select(moved(active, motion, this.#rows, this.#names), event.shiftKey);
    } else if (event.key === "Enter" && active) {
      if (active.row === HEAD) this.#sort(active.column);
      else this.#open();
    } else if (event.key === "a" && far) {
      this.#selectAll();
    } else if (event.key === "Escape") {
      this.#escape();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** First the detail goes, then the selection. */
  #escape(): void {
    if (this.#detail.close()) return;
    this.#selection = null;
    this.#paintSelection();
  }

  #press(event: MouseEvent): void {
    const spot = this.#spotAt(event);
    if (event.button !== 0 || !spot) return;
    event.preventDefault();
    this.#scroller.focus({ preventScroll: true });
    this.#select(spot, event.shiftKey);
    const drag = (move: MouseEvent) => {
      const over = this.#spotAt(move);
      if (over) this.#select(over, true);
    };
    const root = this.#scroller;
    root.addEventListener("mouseover", drag);
    window.addEventListener("mouseup", () => root.removeEventListener("mouseover", drag), {
      once: true,
    });
  }

  /** The whole value as a tooltip, made when somebody points at its cell. */
  #hover(event: MouseEvent): void {
    const spot = this.#spotAt(event);
    if (!spot) return;
    const value = this.#rows.get(spot.row)?.[spot.column];
    const text =
      value === undefined ? "this field is missing" : full(value).slice(0, TOOLTIP_CHARS);
    (event.target as HTMLElement).title = text;
  }

  #spotAt(event: MouseEvent): Spot | null {
    const cell = (event.target as Element).closest<HTMLElement>(".cell");
    const key = cell?.parentElement?.dataset.key;
    const column = this.#columns[Number(cell?.dataset.column ?? -1)];
    return key !== undefined && column ? { row: key, column: column.name } : null;
  }

  #select(active: Spot, extend: boolean): void {
    const anchor =
      extend && this.#selection && active.row !== HEAD ? this.#selection.anchor : active;
    this.#selection = { active, anchor };
    this.#reveal(active);
    this.#paint(null);
  }

  #selectAll(): void {
    const names = this.#names;
    const [first, last] = [this.#rows.keys[0], this.#rows.keys.at(-1)];
    if (first === undefined || last === undefined) return;
    this.#selection = {
      active: { row: first, column: names[0] ?? "" },
      anchor: { row: last, column: names.at(-1) ?? "" },
    };
    this.#paintSelection();
  }

  #reveal(spot: Spot): void {
    const place = this.#rows.place(spot.row);
    if (place !== undefined) this.#scrollTo(revealing(place, this.#scrollTop, this.#height));
    this.#head.reveal(spot.column, this.#scroller);
  }

  #open(): void {
    const spot = this.#selection?.active;
    if (spot && spot.row !== HEAD) this.#detail.open(spot, this.#rows);
  }

  #copy(event: ClipboardEvent): void {
    const names = this.#names;
    const area = this.#selection && areaOf(this.#selection, this.#rows, names);
    if (!area) return;
    const columns = names.slice(area.left, area.right + 1);
    const lines = this.#rows.records
      .slice(area.top, area.bottom + 1)
      .map((row) => tabbed(row, columns));
    event.clipboardData?.setData("text/plain", lines.join("\n"));
    event.preventDefault();
  }
}
