/**
 * Profiles: what is in each column, over all rows that are asked for.
 *
 * Computed by the deployment, column after column, when somebody wants to see them,
 * and again when the table has changed; the last ones stay until then.
 */
import { el, setText } from "../dom.ts";
import { timeText } from "../value.ts";
import type { Column } from "./columns.ts";
import type { Row } from "./rows.ts";
import {
  BINS,
  histogramOf,
  isMeasured,
  profileOf,
  type Statement,
  type Stored,
  topOf,
} from "./statements.ts";

type Select = (statement: Statement) => Promise<Row[]>;

export class Profiles {
  readonly button = el("button", {
    type: "button",
    class: "tool",
    text: "profile",
    title: "What is in each column, over all rows",
    "aria-expanded": "false",
  });
  readonly element = el("div", { class: "profiles", hidden: true, role: "list", tabindex: 0 });
  readonly #select: Select;
  readonly #cards = new Map<string, Card>();
  /** What is asked for next while a round of columns is on its way. */
  #next: { stored: Stored; columns: readonly Column[] } | null = null;
  #busy = false;

  constructor(select: Select) {
    this.#select = select;
  }

  toggle(): void {
    this.element.hidden = !this.element.hidden;
    this.button.setAttribute("aria-expanded", String(!this.element.hidden));
  }

  draw(stored: Stored, columns: readonly Column[]): void {
    if (this.element.hidden) return;
    this.#next = { stored, columns };
    if (!this.#busy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (this.#next) {
      const { stored, columns } = this.#next;
      this.#next = null;
      this.#lay(columns);
      for (const column of columns) {
        if (this.#next || this.element.hidden) break;
        await this.#cards.get(column.name)?.fill(stored, column, this.#select);
      }
    }
    this.#busy = false;
  }

  #lay(columns: readonly Column[]): void {
    const cards = columns.map(({ name }) => {
      const card = this.#cards.get(name) ?? new Card(name);
      this.#cards.set(name, card);
      return card.element;
    });
    this.element.replaceChildren(...cards);
  }
}

class Card {
  readonly element = el("div", { class: "profile", role: "listitem" });
  readonly #facts = el("div", { class: "facts" });
  readonly #picture = el("div", { class: "picture" });

  constructor(name: string) {
    this.element.append(el("div", { class: "name", text: name }), this.#picture, this.#facts);
  }

  async fill(stored: Stored, column: Column, select: Select): Promise<void> {
    try {
      const [facts] = await select(profileOf(stored, column));
      if (!facts) return;
      setText(this.#facts, factsText(facts));
      const [low, high] = [Number(facts.low), Number(facts.high)];
      if (isMeasured(column) && low < high) {
        const bins = await select(histogramOf(stored, column, low, high));
        const text = column.name === "_creationTime" ? timeText : numberText;
        this.#picture.replaceChildren(histogram(countsOf(bins), low, high, text));
      } else if (facts.different === facts.there) {
        this.#picture.replaceChildren("all different");
      } else {
        const top = await select(topOf(stored, column));
        this.#picture.replaceChildren(...top.map((row) => bar(row, Number(facts.there))));
      }
    } catch (error) {
      setText(this.#facts, (error as Error).message);
    }
  }
}

/** `8,255 missing · 527 different`. */
export function factsText(facts: Row): string {
  const missing = Number(facts.n) - Number(facts.there);
  const text = (n: number) => n.toLocaleString("en");
  const parts = [`${text(Number(facts.different))} different`];
  if (missing > 0) parts.unshift(`${text(missing)} missing`);
  return parts.join(" · ");
}

/** A number for each bin, also for those in which nothing lies. */
export function countsOf(bins: readonly Row[]): number[] {
  const counts = new Array<number>(BINS).fill(0);
  for (const row of bins) counts[Number(row.bin)] = Number(row.n);
  return counts;
}

function numberText(n: number): string {
  return String(Number(n.toPrecision(4)));
}

function histogram(
  counts: readonly number[],
  low: number,
  high: number,
  text: (n: number) => string,
): HTMLElement {
  const most = Math.max(...counts, 1);
  const width = (high - low) / BINS;
  const bars = counts.map((n, at) => {
    const [from, to] = [low + at * width, low + (at + 1) * width].map(text);
    const title = `${from} to ${to}: ${n.toLocaleString("en")}`;
    // A bin with something in it is seen, however little.
    const height = n === 0 ? 0 : Math.max(4, (100 * n) / most);
    return el("span", { title, style: `height:${height}%` });
  });
  const ends = [low, high].map((n) => el("span", { text: text(n), title: text(n) }));
  return el(
    "div",
    { role: "img", "aria-label": `histogram from ${text(low)} to ${text(high)}` },
    el("div", { class: "bins" }, ...bars),
    el("div", { class: "ends" }, ...ends),
  );
}

function bar(row: Row, whole: number): HTMLElement {
  const [value, n] = [String(row.value), Number(row.n)];
  const share = whole === 0 ? 0 : (100 * n) / whole;
  return el(
    "div",
    { class: "top", title: `${value}: ${n.toLocaleString("en")}` },
    el("span", { class: "share", style: `width:${share}%` }),
    el("span", { class: "value", text: value }),
    el("span", { class: "n", text: n.toLocaleString("en") }),
  );
}
