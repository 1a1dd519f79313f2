/**
 * The table of a whole stored table: the deployment sorts, filters and counts, and
 * the page has what is in sight.
 *
 *   a newer version of the table ─▶ count and the rows in sight, anew
 *   scrolled                     ─▶ the blocks in sight that are not here
 *   sorted, filtered, searched   ─▶ another request, from the top
 *
 * The deployment answers in SQL over its columnar mirror. Until that is built for
 * the first time, the newest documents are read as they are stored.
 *
 * Invariants
 *     S1  Rows in sight are of the newest request and the newest version, or drawn
 *         over by them as soon as they are here.
 *     S2  One request at a time; of those that wait only the last is made. Rows of
 *         another request are not waited for: their question is taken back.
 */
import type { Value } from "convex/values";
import { tell } from "../dom.ts";
import { CallError, isPassing, type Source } from "../source.ts";
import type { Answered, EditSpec } from "../spec.ts";
import { timeText } from "../value.ts";
import { count, counted } from "../views/tree.ts";
import type { View } from "../views/view.ts";
import { type Column, columnsOf, MAX_COLUMNS } from "./columns.ts";
import { FileOfRows, type Format } from "./download.ts";
import { type Change, Edits } from "./edits.ts";
import { EVERYTHING, type Request } from "./filters.ts";
import { Grid } from "./grid.ts";
import { Profiles } from "./profile.ts";
import { Progress } from "./progress.ts";
import { nextSorting, type Row, type Sorting } from "./rows.ts";
import { countOf, rowsFromTo, type Statement, type Stored } from "./statements.ts";
import { Tools } from "./tools.ts";
import type { Span } from "./viewport.ts";
import { BLOCK, blocksOf, WindowRows } from "./window.ts";

const TABLE_DATA = "_system/cli/tableData:default";
const FILE_ROWS = 5_000;

export interface StoredSpec {
  /** What they are called in SQL. */
  readonly table: string;
  readonly edit: EditSpec | null;
  readonly of: Answered | null;
}

/** What is asked of the rows, and the columns in sight. */
export type Asked = readonly [stored: Stored, columns: readonly Column[]];
const AGAIN_MS = 700;
/** How many blocks are read on while one scrolls. */
const AT_ONCE = 4;

export class StoredTable implements View {
  readonly element: HTMLElement;
  readonly tools: HTMLElement;
  readonly #table: string;
  /** The statement that these are the rows of; null: they are a table's. */
  readonly #of: Answered | null;
  readonly #source: Source;
  readonly #signal: AbortSignal;
  readonly #grid: Grid;
  readonly #tools: Tools;
  readonly #profiles: Profiles;
  readonly #progress = new Progress();
  #rows = new WindowRows(0);
  /** Every column seen so far: one that only old documents have stays. */
  #all: readonly Column[] = [];
  /** How many there are beside those: more than a page can hold. */
  #left = 0;
  #hidden: ReadonlySet<string> = new Set();
  #request: Request = EVERYTHING;
  #sorting: Sorting | null = null;
  #total = 0;
  /** Of when the rows are, in milliseconds since 1970; null: now. */
  #moment: number | null = null;
  /** What holds while rows are not what was asked for: "being prepared", a refusal. */
  #note = "";
  /** How much of it is prepared, where that is known. */
  #far = "";
  #answered = false;
  #begun = false;
  /** The work in hand, and whether there is more by now: S2. */
  #busy = false;
  #again: "rows" | "top" | null = null;
  /** Takes back the question in hand. */
  #asking = new AbortController();
  #wanted: Span = { start: 0, end: 0 };
  /** Where one scrolls to: down (1), up (-1), nowhere. */
  #heading = 0;

  constructor({ table, edit, of }: StoredSpec, source: Source, signal: AbortSignal) {
    this.#table = table;
    this.#of = of;
    this.#source = source;
    this.#signal = signal;
    const edits = edit && new Edits(edit, (...call) => this.#write(edit.path, ...call));
    this.#grid = new Grid(
      {
        sort: (column) => this.#sort(column),
        looked: (span) => this.#look(span),
        saver: ({ row, column }) =>
          (this.#moment === null && edits?.saver(this.#rows.get(row), column)) || null,
        copied: (rows, selected) =>
          this.#say(`copied ${counted(rows, selected, "row")}: the others are in ↓ csv`),
        undo: () =>
          edits?.undo(this.#rows).catch((error) => this.#say(`not undone: ${error.message}`)),
      },
      signal,
    );
    this.#profiles = new Profiles((statement) => this.#select(statement));
    this.#tools = new Tools({
      asked: (request) => this.#ask(request),
      hidden: (columns) => this.#hide(columns),
      download: (format) => void this.#download(format),
    });
    this.#tools.buttons.append(this.#profiles.button);
    this.#profiles.button.addEventListener("click", () => this.#profile());
    this.tools = this.#tools.buttons;
    this.element = this.#grid.element;
    this.element.classList.add("stored");
    const { element: sign } = this.#progress;
    this.element.prepend(this.#tools.drawer, this.#profiles.element, sign);
  }

  /** The value is the table's version: whatever it is, the table is another one. */
  draw(_version: Value): void {
    if (!this.#begun && !this.#of) void this.#newest();
    this.#begun = true;
    if (this.#moment === null) this.#renew("rows");
  }

  at(moment: number | null): void {
    this.#moment = moment;
    this.#turn(moment === null ? "back to now" : `as of ${timeText(moment)}`);
  }

  summary(): string {
    if (!this.#answered) return (this.#note || "reading…") + this.#far;
    const { count: rows } = this.#rows;
    // Whoever filters at once does it before all of them were counted.
    const few = rows < this.#total ? counted(rows, this.#total, this.#what) : count(rows, this.#what);
    const parts = [isEverything(this.#request) ? few : `${few} match`];
    const columns = this.#columns.length;
    const existing = this.#all.length + this.#left;
    if (columns < existing) parts.push(counted(columns, existing, "column"));
    else if (columns > 0) parts.push(count(columns, "column"));
    if (this.#sorting) parts.push(`sorted by ${this.#sorting.column}`);
    if (this.#note) parts.push(this.#note);
    return parts.join(" · ");
  }

  get #what(): string {
    return this.#of ? "row" : "document";
  }

  get #columns(): readonly Column[] {
    return this.#all.filter(({ name }) => !this.#hidden.has(name));
  }

  get #shown() {
    return { rows: this.#rows, columns: this.#columns, sorting: this.#sorting };
  }

  get #stored(): Stored {
    return {
      table: this.#table,
      isAnswer: this.#of !== null,
      request: this.#request,
      sorting: this.#sorting,
      columns: this.#all,
    };
  }

  #select({ sql, params }: Statement, until?: AbortSignal): Promise<Row[]> {
    return this.#source.rows(sql, params, this.#moment, until, this.#of);
  }

  // -- what is asked for -----------------------------------------------------------

  #sort(column: string): void {
    this.#sorting = nextSorting(this.#sorting, column);
    this.#turn(this.#sorting ? `sorting by ${column}` : "back to the newest first");
  }

  #ask(request: Request): void {
    const search = request.search.trim();
    const isSearch = search !== this.#request.search.trim();
    this.#request = request;
    this.#turn(!isSearch ? "filtering" : search ? `searching for ${search}` : "reading all rows");
  }

  /** To other rows, from the top; the ones before stay in sight until those are here. */
  #turn(what: string): void {
    this.#progress.begin(what);
    this.#asking.abort();
    this.#renew("top");
  }

  /** Whoever shows this may want to know what is asked for: null, the whole table. */
  #tell(): void {
    if (this.#of) return;
    const isWhole = isEverything(this.#request) && !this.#sorting && this.#hidden.size === 0;
    const detail: Asked | null = isWhole ? null : [this.#stored, this.#columns];
    tell(this.element, "asked", detail, true);
  }

  #hide(columns: ReadonlySet<string>): void {
    this.#hidden = columns;
    this.#grid.update(this.#shown);
    this.#profiles.draw(this.#stored, this.#columns);
    this.#tell();
    this.#say(this.#note);
  }

  #profile(): void {
    this.#profiles.toggle();
    this.#profiles.draw(this.#stored, this.#columns);
  }

  // -- rows come -------------------------------------------------------------------

  /** Count and rows in sight anew: of the same request, or of another one. */
  #renew(how: "rows" | "top"): void {
    if (how === "top") this.#tell();
    if (this.#again !== "top") this.#again = how;
    if (!this.#busy) void this.#work();
  }

  #look(span: Span): void {
    this.#heading = Math.sign(span.start - this.#wanted.start) || this.#heading;
    this.#wanted = span;
    if (!this.#busy && this.#missing().length > 0) void this.#work();
  }

  /** Of what is in sight, and of what comes in sight next. */
  #missing(): number[] {
    const { start, end } = this.#wanted;
    const soon = {
      start: this.#heading < 0 ? Math.max(0, start - BLOCK) : start,
      end: this.#heading > 0 ? end + BLOCK : end,
    };
    return blocksOf(soon, this.#rows.count).filter((block) => !this.#rows.has(block));
  }

  async #work(): Promise<void> {
    this.#busy = true;
    try {
      while (!this.#signal.aborted && (this.#again || this.#missing().length > 0)) {
        const how = this.#again;
        this.#again = null;
        const asking = new AbortController();
        this.#asking = asking;
        try {
          await (how ? this.#fetch(how, asking.signal) : this.#fill(asking.signal));
        } catch (error) {
          if (!asking.signal.aborted) throw error;
        }
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#busy = false;
    }
  }

  async #fetch(how: "rows" | "top", until: AbortSignal): Promise<void> {
    this.#heading = 0;
    const stored = this.#stored;
    const isTop = how === "top" || this.#wanted.end === 0;
    const span = isTop ? { start: 0, end: BLOCK } : this.#wanted;
    const [found] = await this.#select(countOf(stored), until);
    const rows = new WindowRows(Number(found?.n ?? 0), !this.#of);
    const blocks = blocksOf(span, rows.count);
    for (const block of blocks) rows.put(block, await this.#block(stored, block, until));
    if (this.#again === "top") return;
    this.#progress.end();
    this.#total = isEverything(stored.request) ? rows.count : Math.max(this.#total, rows.count);
    this.#answered = true;
    this.#show(rows, how);
    this.#profiles.draw(stored, this.#columns);
  }

  async #fill(until: AbortSignal): Promise<void> {
    const rows = this.#rows;
    const [block] = this.#missing();
    if (block === undefined) return;
    // To find where they begin costs the deployment more than to read some more of them.
    const first = this.#heading < 0 ? Math.max(0, block - AT_ONCE + 1) : block;
    const statement = rowsFromTo(this.#stored, first * BLOCK, AT_ONCE * BLOCK);
    const found = await this.#select(statement, until);
    for (let at = 0; at < AT_ONCE; at++) {
      rows.put(first + at, found.slice(at * BLOCK, (at + 1) * BLOCK));
    }
    if (rows !== this.#rows || this.#again) return;
    this.#learn(rows.here());
    this.#grid.refresh();
  }

  #block(stored: Stored, block: number, until: AbortSignal): Promise<Row[]> {
    return this.#select(rowsFromTo(stored, block * BLOCK, BLOCK), until);
  }

  #show(rows: WindowRows, how: "rows" | "top", note = ""): void {
    this.#rows = rows;
    this.#learn(rows.here());
    this.#grid[how === "top" ? "replace" : "update"](this.#shown);
    this.#say(note);
  }

  /** Columns keep their places: rows that come may lack some, and have new ones. */
  #learn(rows: readonly Row[]): void {
    const all = merged(this.#all, columnsOf(rows, null));
    this.#all = all.slice(0, MAX_COLUMNS);
    this.#left = Math.max(this.#left, all.length - this.#all.length);
    this.#tools.draw(this.#all);
  }

  // -- rows are written --------------------------------------------------------------

  /** Shown at once; what is refused is shown as it was. */
  async #write(path: string, args: Row, { id, column, value }: Change): Promise<void> {
    const before = this.#rows.get(id);
    const show = (row: Row | undefined) => {
      if (row) this.#rows.set(id, row);
      this.#grid.refresh();
    };
    show(before && { ...before, [column]: value });
    try {
      await this.#source.call("mutation", path, args);
    } catch (error) {
      show(before);
      throw error;
    }
  }

  // -- trouble ---------------------------------------------------------------------

  /** What passes is tried again. */
  #failed(error: unknown): void {
    this.#progress.end();
    const building = error instanceof CallError && error.code === "FollowerBehind";
    if (!building) this.#say((error as Error).message);
    else if (!this.#answered) this.#say(this.#note, farOf(error.message));
    if (this.#moment !== null && !building) {
      // Rows of another moment are not these.
      this.#show(new WindowRows(0), "top", this.#note);
      return;
    }
    if (!isPassing(error)) return;
    const how = this.#answered ? "rows" : "top";
    setTimeout(() => this.#signal.aborted || this.#renew(how), AGAIN_MS);
  }

  /** Until the deployment has answered in SQL, which may first build its mirror: the newest rows. */
  async #newest(): Promise<void> {
    const paginationOpts = { cursor: null, numItems: BLOCK };
    const args = { table: this.#table, order: "desc", paginationOpts };
    try {
      const page = (await this.#source.call("query", TABLE_DATA, args)) as unknown as {
        page: Row[];
      };
      if (this.#answered) return;
      const rows = new WindowRows(page.page.length);
      rows.put(0, page.page);
      this.#show(rows, "rows");
      this.#say(`the newest ${count(rows.count, "document")}; the others are being prepared`);
    } catch (error) {
      this.#say((error as CallError).message);
    }
  }

  #say(note: string, far = ""): void {
    this.#note = note;
    this.#far = far;
    tell(this.element, "summary");
  }

  /** All rows that are asked for, in parts: the table may be longer than a page can hold. */
  async #download(format: Format): Promise<void> {
    const stored = this.#stored;
    const file = new FileOfRows(
      format,
      this.#columns.map(({ name }) => name),
    );
    const whole = this.#rows.count;
    try {
      for (let from = 0; from < whole && !this.#signal.aborted; from += FILE_ROWS) {
        this.#say(`reading ${count(whole, this.#what)}: ${Math.floor((100 * from) / whole)} %`);
        file.add(await this.#select(rowsFromTo(stored, from, FILE_ROWS)));
      }
      file.save(this.#table);
      this.#say("");
    } catch (error) {
      this.#say((error as CallError).message);
    }
  }
}

/** Which table is being taken in, and how much of it is, where the deployment says so. */
export function farOf(said: string): string {
  const far = /`.+%/.exec(said);
  return far ? ` (${far})` : "";
}

function isEverything(request: Request): boolean {
  return request.filters.length === 0 && request.search.trim() === "";
}

export function merged(known: readonly Column[], seen: readonly Column[]): Column[] {
  const news = new Map(seen.map((column) => [column.name, column]));
  const columns = known.map((column) => news.get(column.name) ?? column);
  const names = new Set(known.map(({ name }) => name));
  const last = columns.at(-1)?.name === "_creationTime" ? columns.pop() : undefined;
  columns.push(...seen.filter(({ name }) => !names.has(name)));
  return last ? [...columns, last] : columns;
}
