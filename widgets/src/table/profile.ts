/**
 * Profiles: what is in each column, over all rows that are asked for.
 *
 * Computed by the deployment, all columns in one answer, when somebody wants to see
 * them, and again when the table has changed; the last ones stay until then.
 */
import { el, setText } from "../dom.ts";
import { timeText } from "../value.ts";
import type { Column } from "./columns.ts";
import type { Row } from "./rows.ts";
import { profileOf, type Statement, type Stored } from "./statements.ts";

/** Where a column's numbers lie: bins side by side, the first from `from` on. */
interface Scale {
  readonly low: number;
  readonly high: number;
  readonly from: number;
  readonly width: number;
  readonly bins: readonly number[];
}

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
  /** What is asked for next while an answer is on its way. */
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
      await this.#fill(profileOf(stored, columns));
    }
    this.#busy = false;
  }

  async #fill(statement: Statement): Promise<void> {
    try {
      for (const row of await this.#select(statement)) this.#cards.get(String(row.name))?.draw(row);
    } catch (error) {
      for (const card of this.#cards.values()) card.say((error as Error).message);
    }
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

  draw(row: Row): void {
    this.say(factsText(row));
    const { name, there, different, bins, top } = row;
    if (bins) {
      this.#picture.replaceChildren(
        histogram(row, name === "_creationTime" ? timeText : numberText),
      );
    } else if (different === there) {
      this.#picture.replaceChildren("all different");
    } else {
      this.#picture.replaceChildren(...(top as Row[]).map((each) => bar(each, Number(there))));
    }
  }

  say(text: string): void {
    setText(this.#facts, text);
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

function numberText(n: number): string {
  return String(Number(n.toPrecision(4)));
}

function histogram(row: Row, text: (n: number) => string): HTMLElement {
  const { low, high, from, width, bins } = row as unknown as Scale;
  const most = Math.max(...bins);
  const bars = bins.map((n, at) => {
    const begin = from + at * width;
    const title = `${text(begin)} to ${text(begin + width)}: ${n.toLocaleString("en")}`;
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
