/**
 * The grid: rows of any number that stand still while they change.
 *
 *   rows ─▶ the span in sight ─▶ row elements (≤ MAX_DRAWN)
 *
 * Row elements belong to row keys, so a row that stays in sight keeps its
 * element. Invariants: scroll position, selection, widths and the open detail
 * are changed by the user only. Where rows come from, and in which order, is for
 * whoever shows them here.
 */
import { el, tell } from "../dom.ts";
import { full, kindOf } from "../value.ts";
import { type Column, tabbed } from "./columns.ts";
import { Detail } from "./detail.ts";
import { Editor, type Save } from "./editor.ts";
import { Head } from "./head.ts";
import { type MarkAt, RowElement } from "./row.ts";
import { type Row, type RowKey, type RowSet, Rows, type Sorting } from "./rows.ts";
import { areaOf, HEAD, kept, motionOf, moved, type Selection, type Spot } from "./selection.ts";
import { anchored, drawn, ROW_PX, revealing, type Span } from "./viewport.ts";

/** A table before it has a size, as while its output is not yet on the page. */
const UNSEEN_PX = 420;
const TOOLTIP_CHARS = 2_000;

export interface GridEvents {
  sort(column: string): void;
  /** These rows came in sight. */
  looked?(span: Span): unknown;
  /** What takes an edited cell; null if nobody does. */
  saver?(spot: Spot): Save | null;
  /** Fewer rows were copied than are selected: the others are not here. */
  copied?(rows: number, selected: number): unknown;
  /** The last edit is to be taken back. */
  undo?(): unknown;
}

export interface Shown {
  readonly rows: RowSet;
  readonly columns: readonly Column[];
  readonly sorting: Sorting | null;
  readonly markAt?: MarkAt;
}

export class Grid {
  readonly element: HTMLElement;
  readonly #scroller = el("div", {
    class: "scroller",
    role: "grid",
    tabindex: 0,
    "aria-multiselectable": "true",
  });
  readonly #body = el("div", { class: "rows", role: "rowgroup" });
  readonly #head: Head;
  readonly #detail = new Detail(() => this.#scroller.focus());
  #rows: RowSet = Rows.none;
  #columns: readonly Column[] = [];
  #markAt: MarkAt | undefined;
  #selection: Selection | null = null;
  /** The row elements in the document, by row. */
  readonly #drawn = new Map<RowKey, RowElement>();
  readonly #spare: RowElement[] = [];
  /** Where the user has scrolled to: kept here, since a detached element forgets it. */
  #scrollTop = 0;
  #drawnOnce = false;
  /** As it was last told: to ask for it is to have the page laid out. */
  #clientHeight = 0;

  readonly #events: GridEvents;
  readonly #editor: Editor;

  constructor(events: GridEvents, signal: AbortSignal) {
    this.#events = events;
    this.#head = new Head({
      sort: (column) => events.sort(column),
      resized: (template) => this.element.style.setProperty("--columns", template),
    });
    this.#editor = new Editor(this.#body, () => this.#scroller.focus({ preventScroll: true }));
    this.#scroller.append(this.#head.element, this.#body);
    this.element = el("div", { class: "table" }, this.#scroller, this.#detail.element);
    this.#listen(signal);
  }

  /** Newer rows of the same request: what one reads stays in place, and what changed glows. */
  update(shown: Shown): void {
    const before = this.#rows;
    this.#take(shown);
    this.#scrollTo(anchored(before, this.#rows, this.#scrollTop));
    this.#paint(this.#drawnOnce ? before : null);
    this.#drawnOnce = true;
  }

  /** Rows of another request: from the top. */
  replace(shown: Shown): void {
    this.#take(shown);
    this.#scrollTop = -1;
    this.#scrollTo(0);
    this.#paint(null);
  }

  /** Rows that were asked for are here. */
  refresh(): void {
    this.#paint(null);
    this.#detail.refresh(this.#rows);
  }

  get span(): Span {
    return drawn(this.#scrollTop, this.#height, this.#rows.count);
  }

  #take({ rows, columns, sorting, markAt }: Shown): void {
    this.#rows = rows;
    this.#columns = columns;
    this.#markAt = markAt;
    this.#head.draw(columns, sorting);
    this.#selection = kept(this.#selection, rows);
    this.#resize();
    this.#detail.refresh(rows);
  }

  get #names(): string[] {
    return this.#columns.map((column) => column.name);
  }

  #resize(): void {
    this.#body.style.height = `${this.#rows.count * ROW_PX}px`;
    this.#scroller.setAttribute("aria-rowcount", String(this.#rows.count + 1));
    this.#scroller.setAttribute("aria-colcount", String(this.#columns.length));
    this.element.classList.toggle("empty", this.#rows.count === 0);
  }

  /** N.B. where nothing moves nothing is set: the page would have to be laid out for it. */
  #scrollTo(top: number): void {
    const most = Math.max(0, this.#rows.count * ROW_PX - this.#height);
    const now = Math.max(0, Math.min(top, most));
    if (now === this.#scrollTop) return;
    this.#scrollTop = now;
    this.#scroller.scrollTop = now;
  }

  get #height(): number {
    return (this.#clientHeight || UNSEEN_PX) - this.#head.height;
  }

  /** Draws the span in sight. What differs from `before` flashes; null: nothing does. */
  #paint(before: RowSet | null): void {
    const { span } = this;
    const wanted = new Set<RowKey>();
    for (let place = span.start; place < span.end; place++) wanted.add(this.#rows.keyAt(place));
    for (const [key, row] of this.#drawn) {
      if (wanted.has(key)) continue;
      this.#drawn.delete(key);
      this.#spare.push(row);
    }
    for (let place = span.start; place < span.end; place++) this.#paintRow(place, before);
    for (const row of this.#spare.splice(0)) row.element.remove();
    this.#paintSelection();
    this.#editor.follow(this.#rows);
    this.#events.looked?.(span);
  }

  #paintRow(place: number, before: RowSet | null): void {
    const key = this.#rows.keyAt(place);
    const record = this.#rows.at(place);
    let row = this.#drawn.get(key);
    if (!row) {
      row = this.#spare.pop() ?? new RowElement();
      row.assign(key);
      this.#drawn.set(key, row);
      if (!row.element.parentNode) this.#body.append(row.element);
    }
    row.draw(place, record, this.#columns, this.#markAt);
    if (before && record) row.flashChanges(before.get(key), record, this.#columns);
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
    scroller.addEventListener("click", (event) => this.#follow(event));
    scroller.addEventListener("dblclick", () => this.#open());
    scroller.addEventListener("copy", (event) => this.#copy(event as ClipboardEvent));
    scroller.addEventListener("focus", () => this.#focused());
    const sizes = new ResizeObserver(() => this.#shown());
    sizes.observe(scroller);
    signal.addEventListener("abort", () => sizes.disconnect());
  }

  #scrolled(): void {
    if (!this.#scroller.isConnected || this.#clientHeight === 0) return;
    this.#scrollTop = this.#scroller.scrollTop;
    this.#paint(null);
  }

  /** On the page (again), or of another size: a notebook takes outputs out of sight out of the document. */
  #shown(): void {
    this.#clientHeight = this.#scroller.clientHeight;
    if (this.#clientHeight === 0) return;
    if (this.#scroller.scrollTop !== this.#scrollTop) this.#scroller.scrollTop = this.#scrollTop;
    this.#paint(null);
  }

  /** There is an active cell as long as the keyboard is here. */
  #focused(): void {
    if (this.#selection || this.#rows.count === 0) return;
    const first = Math.max(this.span.start, Math.floor(this.#scrollTop / ROW_PX));
    const spot = { row: this.#rows.keyAt(first), column: this.#names[0] ?? "" };
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
      if (active.row === HEAD) this.#events.sort(active.column);
      else this.#open();
    } else if (event.key === " " && active && active.row !== HEAD) {
      this.#look(active);
    } else if (event.key === "a" && far) {
      this.#selectAll();
    } else if (event.key === "z" && far && this.#events.undo) {
      this.#events.undo();
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
    if (this.#rows.count === 0) return;
    const [first, last] = [this.#rows.keyAt(0), this.#rows.keyAt(this.#rows.count - 1)];
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
    if (!spot || spot.row === HEAD) return;
    const save = this.#events.saver?.(spot) ?? null;
    const cell = this.#drawn.get(spot.row)?.cellOf(this.#names.indexOf(spot.column));
    const row = this.#rows.get(spot.row);
    if (save && cell && row) this.#editor.open(spot, row[spot.column], cell, save);
    else this.#look(spot);
  }

  /** The whole of a cell: what is in it, or the document that it names. */
  #look(spot: Spot): void {
    const value = this.#rows.get(spot.row)?.[spot.column];
    if (kindOf(value) === "id") tell(this.element, "document", value);
    else this.#detail.open(spot, this.#rows);
  }

  /** A press on an id; not the end of a selection that was drawn over it. */
  #follow(event: MouseEvent): void {
    const spot = this.#spotAt(event);
    const { active, anchor } = this.#selection ?? {};
    const isAlone = active === anchor && spot?.row === active?.row && spot?.column === active?.column;
    if (spot && isAlone && (event.target as Element).matches(".cell.id")) this.#look(spot);
  }

  #copy(event: ClipboardEvent): void {
    const names = this.#names;
    const area = this.#selection && areaOf(this.#selection, this.#rows, names);
    if (!area) return;
    const columns = names.slice(area.left, area.right + 1);
    const lines = this.#between(area.top, area.bottom).map((row) => tabbed(row, columns));
    event.clipboardData?.setData("text/plain", lines.join("\n"));
    event.preventDefault();
    const selected = area.bottom - area.top + 1;
    if (lines.length < selected) this.#events.copied?.(lines.length, selected);
  }

  /** The rows from one place to another, without those that are not here. */
  #between(top: number, bottom: number): Row[] {
    const rows: Row[] = [];
    for (let place = top; place <= bottom; place++) {
      const row = this.#rows.at(place);
      if (row) rows.push(row);
    }
    return rows;
  }
}
