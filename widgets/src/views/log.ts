/**
 * The log: documents as lines, oldest first, as they come.
 *
 * Who reads at the end stays at the end; who has scrolled back stays there.
 */
import type { Value } from "convex/values";
import { el, flash, setText } from "../dom.ts";
import { type Row, type RowKey, Rows, rowsOf } from "../table/rows.ts";
import { full, preview, timeText } from "../value.ts";
import { count } from "./tree.ts";
import type { View } from "./view.ts";

const MOST_LINES = 500;
const END_PX = 4;
const CREATED = "_creationTime";

interface Line {
  readonly element: HTMLElement;
  readonly text: HTMLElement;
}

export class LogView implements View {
  readonly element = el("div", { class: "log", role: "log", tabindex: 0 });
  /** The field that is a line's text; null: all of them. */
  readonly #field: string | null;
  readonly #lines = new Map<RowKey, Line>();
  #total = 0;
  /** Whether the end is looked at: *set by* scrolling. */
  #atEnd = true;

  constructor(field: string | null) {
    this.#field = field;
    this.element.addEventListener("scroll", () => {
      this.#atEnd = this.#isAtEnd();
    });
    // N.B. JupyterLab takes cells out of the page and puts them back, scrolled to the top.
    new ResizeObserver(() => this.#stay()).observe(this.element);
  }

  draw(value: Value): void {
    const rows = inTime(rowsOf(value) ?? Rows.none);
    const from = Math.max(0, rows.count - MOST_LINES);
    const first = this.#total === 0;
    this.#total = rows.count;
    this.#drop(new Set(rows.keys.slice(from)));
    for (let place = from; place < rows.count; place++) {
      this.#place(place - from, rows.keyAt(place), rows.at(place) as Row, first);
    }
    this.#stay();
  }

  summary(): string {
    const shown = this.#lines.size;
    return shown < this.#total
      ? `the newest ${shown} of ${count(this.#total, "line")}`
      : count(shown, "line");
  }

  #isAtEnd(): boolean {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    return scrollTop + clientHeight >= scrollHeight - END_PX;
  }

  #stay(): void {
    if (this.#atEnd) this.element.scrollTop = this.element.scrollHeight;
  }

  #drop(kept: ReadonlySet<RowKey>): void {
    for (const [key, { element }] of this.#lines) {
      if (kept.has(key)) continue;
      element.remove();
      this.#lines.delete(key);
    }
  }

  #place(at: number, key: RowKey, row: Row, quietly: boolean): void {
    const known = this.#lines.get(key);
    const line = known ?? makeLine(row);
    const text = lineText(row, this.#field);
    setText(line.text, text);
    this.#lines.set(key, line);
    const there = this.element.children[at];
    if (there !== line.element) this.element.insertBefore(line.element, there ?? null);
    if (!known && !quietly) flash(line.element);
  }
}

/** Oldest first, where all say when they were made; else as the query has them. */
function inTime(rows: Rows): Rows {
  const timed = rows.records.every((row) => typeof row[CREATED] === "number");
  return timed ? rows.sorted({ column: CREATED, direction: "asc" }) : rows;
}

function makeLine(row: Row): Line {
  const made = row[CREATED];
  const text = el("span", { class: "text" });
  const time = el("time", { text: typeof made === "number" ? timeText(made) : "" });
  return { element: el("div", {}, time, text), text };
}

export function lineText(row: Row, field: string | null): string {
  if (field !== null) return full(row[field]);
  const said = Object.entries(row).filter(([name]) => !name.startsWith("_"));
  const [only] = said;
  if (said.length === 1 && only) return full(only[1]);
  return said.map(([name, value]) => `${name}=${preview(value)}`).join("  ");
}
