/**
 * The table of a result: all its rows are here, so it answers everything itself.
 *
 *   value ─▶ rows ─▶ filtered ─▶ sorted ─▶ grid
 */
import type { Value } from "convex/values";
import { tell } from "../dom.ts";
import type { Pages } from "../pages.ts";
import type { Source } from "../source.ts";
import type { EditSpec, LiveSpec } from "../spec.ts";
import { count, counted } from "../views/tree.ts";
import type { View } from "../views/view.ts";
import { type Column, columnsOf, MAX_COLUMNS } from "./columns.ts";
import { FileOfRows, type Format } from "./download.ts";
import { Edits, edited } from "./edits.ts";
import { EVERYTHING, predicateOf, type Request } from "./filters.ts";
import { Grid } from "./grid.ts";
import { nextSorting, Rows, rowsOf, type Sorting } from "./rows.ts";
import { Tools } from "./tools.ts";

export interface TableOptions {
  readonly columns: readonly string[] | null;
  readonly edit: EditSpec | null;
}

export class TableView implements View {
  readonly element: HTMLElement;
  readonly tools: HTMLElement;
  readonly #spec: LiveSpec;
  readonly #told: readonly string[] | null;
  readonly #grid: Grid;
  readonly #tools: Tools;
  /** Rows as the query gave them, and as they are shown. */
  #given = Rows.none;
  #rows = Rows.none;
  #all: readonly Column[] = [];
  #left = 0;
  #hidden: ReadonlySet<string> = new Set();
  #request: Request = EVERYTHING;
  #sorting: Sorting | null = null;
  #more = false;
  #note = "";

  constructor(
    spec: LiveSpec,
    options: TableOptions,
    source: Source,
    pages: Pages,
    signal: AbortSignal,
  ) {
    this.#spec = spec;
    this.#told = options.columns;
    const { edit } = options;
    const edits =
      edit &&
      new Edits(edit, (args, change) =>
        source.call("mutation", edit.path, args, {
          path: spec.path,
          args: spec.args,
          change: (result) => edited(result, change),
        }),
      );
    this.#grid = new Grid(
      {
        sort: (column) => this.#sort(column),
        looked: (span) => this.#more && span.end >= this.#rows.count && pages.more(),
        saver: (spot) => edits?.saver(this.#rows.get(spot.row), spot.column) ?? null,
        undo: () => edits?.undo(this.#rows).catch((error: Error) => this.#refused(error)),
      },
      signal,
    );
    this.#tools = new Tools({
      asked: (request) => this.#ask(request),
      hidden: (columns) => this.#hide(columns),
      download: (format) => this.#download(format),
    });
    this.tools = this.#tools.buttons;
    this.element = this.#grid.element;
    this.element.prepend(this.#tools.drawer);
  }

  draw(value: Value): void {
    this.#note = "";
    this.#given = rowsOf(value) ?? Rows.none;
    this.#more = !Array.isArray(value) && (value as { isDone?: Value }).isDone === false;
    const all = columnsOf(this.#given.records, this.#told);
    this.#all = all.slice(0, MAX_COLUMNS);
    this.#left = all.length - this.#all.length;
    this.#tools.draw(this.#all);
    this.#arrange();
    this.#grid.update(this.#shown);
  }

  summary(): string {
    const { count: rows } = this.#rows;
    const parts = [`showing ${counted(rows, this.#given.count, "row")}`];
    if (this.#more) parts[0] = `showing ${count(rows, "row")}, there are more`;
    const columns = this.#columns.length;
    const existing = this.#all.length + this.#left;
    if (columns < existing) parts.push(counted(columns, existing, "column"));
    else if (columns > 0) parts.push(count(columns, "column"));
    if (this.#sorting) parts.push(`sorted here by ${this.#sorting.column}`);
    if (this.#note) parts.push(this.#note);
    return parts.join(" · ");
  }

  get #columns(): readonly Column[] {
    return this.#all.filter(({ name }) => !this.#hidden.has(name));
  }

  get #shown() {
    return { rows: this.#rows, columns: this.#columns, sorting: this.#sorting };
  }

  #arrange(): void {
    this.#rows = this.#given.filtered(predicateOf(this.#request)).sorted(this.#sorting);
  }

  #sort(column: string): void {
    this.#sorting = nextSorting(this.#sorting, column);
    this.#again();
  }

  #ask(request: Request): void {
    this.#request = request;
    this.#again();
  }

  #again(): void {
    this.#arrange();
    this.#grid.replace(this.#shown);
    this.#summarize();
  }

  #hide(columns: ReadonlySet<string>): void {
    this.#hidden = columns;
    this.#grid.update(this.#shown);
    this.#summarize();
  }

  #download(format: Format): void {
    const file = new FileOfRows(
      format,
      this.#columns.map(({ name }) => name),
    );
    file.add(this.#rows.records);
    file.save(this.#spec.path);
  }

  /** A refused undo: there is no cell to say it at. */
  #refused(error: Error): void {
    this.#note = `not undone: ${error.message}`;
    this.#summarize();
  }

  #summarize(): void {
    tell(this.element, "summary");
  }
}
