/**
 * The tools of a table: search, filters, columns, download.
 *
 * Buttons stand in the panel's bar; what a button opens lies between bar and rows,
 * so that nothing covers the rows and nothing is cut off at the frame.
 */
import { el, setText } from "../dom.ts";
import type { Column } from "./columns.ts";
import type { Format } from "./download.ts";
import {
  EVERYTHING,
  type Filter,
  filterText,
  needsText,
  OPERATORS,
  type Operator,
  type Request,
} from "./filters.ts";

export interface ToolEvents {
  asked(request: Request): void;
  hidden(columns: ReadonlySet<string>): void;
  download(format: Format): void;
}

type DrawerName = "filters" | "columns";

const SEARCH_PAUSE_MS = 120;

export class Tools {
  /** In the panel's bar. */
  readonly buttons = el("div", { class: "tools", role: "toolbar", "aria-label": "table" });
  /** Between bar and rows. */
  readonly drawer = el("div", { class: "drawer" });
  readonly #events: ToolEvents;
  readonly #search = el("input", {
    type: "search",
    class: "search",
    placeholder: "search",
    "aria-label": "search all columns",
    spellcheck: "false",
  });
  readonly #filtering: HTMLButtonElement;
  readonly #choosing: HTMLButtonElement;
  readonly #chips = el("div", { class: "chips" });
  readonly #form = el("form", { class: "filter" });
  readonly #of = select("column", "filter: column", []);
  readonly #choice = el("div", { class: "choice" });
  readonly #boxes = new Map<string, HTMLElement>();
  #request = EVERYTHING;
  #columns: readonly Column[] = [];
  #hidden: ReadonlySet<string> = new Set();
  #open: DrawerName | null = null;
  #pause: ReturnType<typeof setTimeout> | undefined;

  constructor(events: ToolEvents) {
    this.#events = events;
    this.#filtering = this.#toggle("filters", "filter");
    this.#choosing = this.#toggle("columns", "columns");
    this.buttons.append(
      this.#search,
      this.#filtering,
      this.#choosing,
      this.#saving("csv"),
      this.#saving("json"),
    );
    this.#drawForm();
    this.drawer.append(this.#chips, this.#form, this.#choice);
    this.#search.addEventListener("input", () => this.#searched());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
    this.drawer.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#show(null);
    });
    this.#show(null);
  }

  /** The columns there are, hidden ones too. */
  draw(columns: readonly Column[]): void {
    const names = (of: readonly Column[]) => of.map(({ name }) => name).join("\n");
    const same = names(columns) === names(this.#columns);
    this.#columns = columns;
    if (same) return;
    this.#drawColumns();
    this.#drawChoice();
  }

  #searched(): void {
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => this.#ask({ search: this.#search.value }), SEARCH_PAUSE_MS);
  }

  #ask(change: Partial<Request>): void {
    this.#request = { ...this.#request, ...change };
    this.#drawChips();
    this.#events.asked(this.#request);
  }

  #toggle(drawer: DrawerName, text: string): HTMLButtonElement {
    const button = el("button", { type: "button", class: "tool", text, "aria-expanded": "false" });
    button.addEventListener("click", () => this.#show(this.#open === drawer ? null : drawer));
    return button;
  }

  #saving(format: Format): HTMLButtonElement {
    const title = `Download the rows as ${format.toUpperCase()}, as filtered and sorted`;
    const button = el("button", { type: "button", class: "tool", title, text: `↓ ${format}` });
    button.addEventListener("click", () => this.#events.download(format));
    return button;
  }

  #show(drawer: DrawerName | null): void {
    this.#open = drawer;
    this.#form.hidden = drawer !== "filters";
    this.#choice.hidden = drawer !== "columns";
    this.#filtering.setAttribute("aria-expanded", String(drawer === "filters"));
    this.#choosing.setAttribute("aria-expanded", String(drawer === "columns"));
    this.#drawChips();
    if (drawer === "filters") this.#form.querySelector("select")?.focus();
    if (drawer === "columns") this.#choice.querySelector("input")?.focus();
  }

  // -- filters -------------------------------------------------------------------

  #drawChips(): void {
    const chips = this.#request.filters.map((filter) => this.#chip(filter));
    if (chips.length > 1) chips.unshift(this.#joining());
    this.#chips.replaceChildren(...chips);
    this.#chips.hidden = chips.length === 0;
    this.drawer.hidden = this.#open === null && chips.length === 0;
  }

  /** Whether all filters must hold, or any of them. */
  #joining(): HTMLElement {
    const joining = select("joining", "filters: how they are joined", ["all of", "any of"]);
    joining.selectedIndex = this.#request.any ? 1 : 0;
    joining.addEventListener("change", () => {
      this.#ask({ any: joining.selectedIndex === 1 });
      this.#chips.querySelector("select")?.focus();
    });
    return joining;
  }

  #chip(filter: Filter): HTMLElement {
    const text = filterText(filter);
    const chip = el("button", {
      type: "button",
      class: "chip",
      title: "Remove this filter",
      "aria-label": `remove filter ${text}`,
      text: `${text} ×`,
    });
    chip.addEventListener("click", () =>
      this.#ask({ filters: this.#request.filters.filter((each) => each !== filter) }),
    );
    return chip;
  }

  #drawForm(): void {
    const operators = select("operator", "filter: operator", OPERATORS);
    const text = el("input", { name: "text", placeholder: "value", "aria-label": "filter: value" });
    operators.addEventListener("change", () => {
      text.hidden = !needsText(operators.value as Operator);
    });
    this.#of.addEventListener("change", () => {
      operators.value = this.#columns[this.#of.selectedIndex]?.numeric ? "≥" : "contains";
      text.hidden = false;
    });
    const add = el("button", { class: "tool", text: "add" });
    this.#form.replaceChildren(this.#of, operators, text, add);
  }

  /** Columns come and go while somebody writes a filter: what they have chosen stays. */
  #drawColumns(): void {
    const chosen = this.#of.value;
    this.#of.replaceChildren(...optionsOf(this.#columns.map(({ name }) => name)));
    if (this.#columns.some(({ name }) => name === chosen)) {
      this.#of.value = chosen;
      return;
    }
    this.#of.selectedIndex = Math.min(1, this.#columns.length - 1);
    this.#of.dispatchEvent(new Event("change"));
  }

  #add(): void {
    const said = new FormData(this.#form);
    const filter: Filter = {
      column: String(said.get("column")),
      operator: said.get("operator") as Operator,
      text: String(said.get("text") ?? ""),
    };
    if (needsText(filter.operator) && filter.text === "") return;
    this.#form.querySelector<HTMLInputElement>("[name=text]")?.select();
    this.#ask({ filters: [...this.#request.filters, filter] });
  }

  // -- columns -------------------------------------------------------------------

  /** The boxes that are there stay, and so does the focus of one of them. */
  #drawChoice(): void {
    const focused = this.#choice.querySelector<HTMLElement>(":focus");
    for (const { name } of this.#columns) {
      if (!this.#boxes.has(name)) this.#boxes.set(name, this.#box(name));
    }
    this.#choice.replaceChildren(
      ...this.#columns.map(({ name }) => this.#boxes.get(name) as HTMLElement),
    );
    focused?.focus();
  }

  #box(name: string): HTMLElement {
    const box = el("input", { type: "checkbox", checked: !this.#hidden.has(name) });
    box.addEventListener("change", () => this.#hide(name, !box.checked));
    return el("label", {}, box, name);
  }

  #hide(name: string, hide: boolean): void {
    const hidden = new Set(this.#hidden);
    if (hide) hidden.add(name);
    else hidden.delete(name);
    this.#hidden = hidden;
    setText(this.#choosing, hidden.size > 0 ? `columns (${hidden.size} hidden)` : "columns");
    this.#events.hidden(hidden);
  }
}

function select(name: string, label: string, options: readonly string[]): HTMLSelectElement {
  return el("select", { name, "aria-label": label }, ...optionsOf(options));
}

function optionsOf(texts: readonly string[]): HTMLOptionElement[] {
  return texts.map((text) => el("option", { value: text, text }));
}
