/**
 * The live panel: a query's name, its newest value in a view, and how fresh it is.
 *
 *   waiting ──value──▶ shown ⇄ failed      (and beside it, the link: see source.ts)
 *
 * Whatever happens, what has been shown stays: a lost connection and a failed
 * query say so above the last rows. At most one drawing a frame; of several
 * values only the newest is drawn.
 */
import type { Value } from "convex/values";
import type { Compared, Counts } from "./compare/contract.ts";
import { readControl, showControl } from "./controls/control.ts";
import { OpenDocument } from "./document.ts";
import { el, setText, tell } from "./dom.ts";
import { failureBox } from "./failure.ts";
import { inFrame, watchSight } from "./frames.ts";
import { guardKeys } from "./keys.ts";
import { SQL_ROWS } from "./owner.ts";
import { Pages } from "./pages.ts";
import { Past } from "./past.ts";
import type { Link, QueryFailure, Source } from "./source.ts";
import { type LiveSpec, readSpec } from "./spec.ts";
import { styled } from "./style.ts";
import { StoredTable } from "./table/stored.ts";
import { TableView } from "./table/table.ts";
import { full, preview, timeText } from "./value.ts";
import { cardView } from "./views/card.ts";
import { ChartView } from "./views/chart.ts";
import { chooseView, type ViewKind } from "./views/choose.ts";
import { LogView } from "./views/log.ts";
import { metricView } from "./views/metric.ts";
import { treeView } from "./views/tree.ts";
import type { Standing, View } from "./views/view.ts";
import { Why } from "./why.ts";

const LINK_TEXTS: Record<Link, string> = {
  connecting: "connecting…",
  live: "live",
  reconnecting: "reconnecting…",
  answered: "answered",
};
/** As much as one reads of arguments. */
const LONG = 2_000;
/** Long enough that a page which is merely loading does not speak of trouble. */
const TROUBLE_MS = 6_000;

/** Shows a live output in `host` until the signal. Never throws: what is wrong with it is shown. */
export function showLive(
  host: HTMLElement,
  data: unknown,
  source: Source,
  signal: AbortSignal,
  more: readonly HTMLElement[] = [],
): void {
  try {
    const control = readControl(data);
    const show = (cell: HTMLElement, item: unknown, until = signal, from = source) =>
      showLive(cell, item, from, until);
    if (control) showControl(host, control, source, show, signal);
    else new LivePanel(host, readSpec(data), source, signal, more);
  } catch (error) {
    styled(host).replaceChildren(failureBox("This live output cannot be shown", String(error)));
    host.dataset.state = "error";
  }
}

class LivePanel {
  readonly #host: HTMLElement;
  readonly #spec: LiveSpec;
  readonly #source: Source;
  readonly #signal: AbortSignal;
  readonly #bar: HTMLElement;
  readonly #past: Past | null;
  readonly #pages: Pages;
  readonly #why: Why | null;
  readonly #status = el("span", { class: "status", role: "status" });
  readonly #problem = el("div", { class: "problem", hidden: true, role: "alert" });
  readonly #stage = el("div", { class: "stage" });
  readonly #summary = el("span", { class: "summary" });
  readonly #time = el("span", { class: "time" });
  #view: { kind: ViewKind; view: View } | null = null;
  /** What differs between two moments: made when somebody first compares. */
  #comparison: Compared | null = null;
  /** Which value it is to be of. */
  #compared: Value | undefined;
  /** What an id in it names, opened. */
  readonly #document: OpenDocument;
  /** What stands on the stage: the view, or the comparison. */
  #standing: Standing | null = null;
  /** The newest value not yet drawn: set by the source, cleared by the frame. */
  #next: { value: Value } | null = null;
  /** The newest value, drawn or not. */
  #newest: { value: Value } | null = null;
  #updates = 0;
  #isInSight = true;
  #trouble: ReturnType<typeof setTimeout> | undefined;

  /** `more`: what the page has to offer for any live result; it stands at the foot. */
  constructor(
    host: HTMLElement,
    spec: LiveSpec,
    source: Source,
    signal: AbortSignal,
    more: readonly HTMLElement[],
  ) {
    this.#host = host;
    this.#spec = spec;
    this.#source = source;
    this.#signal = signal;
    this.#bar = this.#title();
    this.#past = spec.back === null ? null : this.#slider(spec.back);
    this.#document = new OpenDocument(source, signal);
    this.#why = source.why ? new Why(spec, source.why.bind(source)) : null;
    const why = this.#why ? [this.#why.button] : [];
    const foot = el("div", { class: "foot" }, this.#summary, this.#time, ...why, ...more);
    const past = this.#past ? [this.#past.element] : [];
    const frame = el(
      "div",
      { class: "frame" },
      this.#bar,
      ...past,
      this.#problem,
      this.#stage,
      this.#document.element,
      ...(this.#why ? [this.#why.element] : []),
      foot,
    );
    styled(host).replaceChildren(frame);
    frame.addEventListener("convexlab:summary", () => this.#resummed());
    frame.addEventListener("convexlab:document", (event) =>
      this.#document.open((event as CustomEvent<string>).detail),
    );
    frame.addEventListener("keydown", (event) => this.#escape(event), { capture: true });
    host.dataset.state = "waiting";
    guardKeys(host, signal);
    this.#link("connecting");
    const from = momentOf(spec) === null ? source : STILL;
    this.#pages = new Pages(from, spec, this.#follower(), signal);
    signal.addEventListener("abort", () => clearTimeout(this.#trouble));
    watchSight(host, signal, (isInSight) => this.#sighted(isInSight));
  }

  /** The document goes first; what one types in goes before it. */
  #escape(event: KeyboardEvent): void {
    if (event.key !== "Escape" || isTyping(event.target)) return;
    if (this.#document.close()) event.stopPropagation();
  }

  #title(): HTMLElement {
    const { name, text } = titleOf(this.#spec);
    return el(
      "div",
      { class: "bar" },
      this.#status,
      el("span", { class: "path", text: name }),
      el("span", { class: "args", text, title: text && full(this.#spec.args).slice(0, LONG) }),
    );
  }

  #follower() {
    return {
      value: (value: Value) => this.#receive(value),
      failed: (failure: QueryFailure) => this.#fail(failure),
      link: (link: Link) => this.#link(link),
    };
  }

  #slider(seconds: number): Past {
    const ownRows = this.#spec.view.kind === "stored";
    return new Past(seconds, !ownRows || this.#table !== null, {
      ask: (moment) => (ownRows ? this.#turn(moment) : this.#source.at(this.#spec, moment)),
      show: (value) => this.#drawPast(value),
      failed: (error) => this.#fail(error),
      live: () => this.#drawLive(),
    });
  }

  /** A view that reads its own rows reads those of the moment. */
  async #turn(moment: number | null): Promise<Value> {
    this.#view?.view.at?.(moment);
    return moment;
  }

  #drawPast(value: Value): void {
    this.#show(value);
    this.#host.dataset.moment = "past";
  }

  /** What has come while one looked back. */
  #drawLive(): void {
    delete this.#host.dataset.moment;
    void this.#turn(null);
    if (this.#next === null && this.#newest) this.#next = this.#newest;
    this.#draw();
  }

  #receive(value: Value): void {
    this.#why?.received();
    this.#newest = { value };
    if (this.#past && !this.#past.isLive) return;
    const first = this.#next === null;
    this.#next = { value };
    if (!first) return;
    if (this.#updates === 0) this.#draw();
    else inFrame(() => this.#isInSight && this.#draw(true));
  }

  /** Out of sight only numbers are drawn, whose lines show all that they were. */
  #sighted(isInSight: boolean): void {
    this.#isInSight = isInSight || this.#view?.kind === "metric";
    if (this.#isInSight) this.#draw();
  }

  #draw(isInFrame = false): void {
    const next = this.#next;
    this.#next = null;
    if (!next || this.#signal.aborted) return;
    this.#show(next.value);
    const moment = momentOf(this.#spec);
    const updated = `updated ${timeText(Date.now()).slice(11)}`;
    setText(this.#time, moment === null ? updated : `as of ${timeText(moment)}`);
    this.#updates += 1;
    this.#host.dataset.updates = String(this.#updates);
    this.#host.dataset.state = "value";
    this.#why?.drawn(isInFrame);
    tell(this.#host, "draw");
  }

  /** In its view; or what differs between it and the moment that somebody keeps. */
  #show(value: Value): void {
    if (this.#past?.pairWith(value)) void this.#compare(value);
    else {
      const kind = chooseView(this.#spec.view, value);
      if (this.#view?.kind !== kind) this.#view = { kind, view: this.#make(kind) };
      this.#stand(this.#view.view, kind);
      this.#view.view.draw(value);
    }
    this.#problem.hidden = true;
    this.#drawSummary();
  }

  async #compare(value: Value): Promise<void> {
    this.#compared = value;
    // What came meanwhile is compared by itself, or nothing is any more.
    const isCurrent = () => this.#compared === value && this.#past?.pairWith(value);
    try {
      const comparing = await this.#source.part("compare");
      this.#comparison ??= comparing.comparison(this.#signal);
      const pair = this.#past?.pairWith(value);
      if (!pair) return;
      const drawn: readonly [Value, Value, Counts?] = this.#table
        ? await comparing.tableChanges(this.#source, this.#table, ...momentsOf(pair))
        : pair;
      if (!isCurrent()) return;
      this.#stand(this.#comparison, "comparison");
      this.#comparison.draw(...drawn);
      this.#problem.hidden = true;
      this.#drawSummary();
    } catch (error) {
      if (isCurrent()) this.#fail(error as Error);
    }
  }

  /** The whole table that it shows, if it shows one. */
  get #table(): string | null {
    const { view } = this.#spec;
    return view.kind === "stored" && !view.of ? view.table : null;
  }

  #stand(standing: Standing, name: string): void {
    if (this.#standing === standing) return;
    this.#standing = standing;
    this.#stage.replaceChildren(standing.element);
    this.#bar.querySelector(".tools")?.remove();
    if (standing.tools) this.#bar.append(standing.tools);
    this.#host.dataset.view = name;
  }

  #make(kind: ViewKind): View {
    const { view } = this.#spec;
    const told = view.kind === "table" ? view : { columns: null, edit: null };
    switch (kind) {
      case "table":
        return new TableView(this.#spec, told, this.#source, this.#pages, this.#signal);
      case "stored":
        return new StoredTable(
          view.kind === "stored" ? view : { table: "", edit: null, of: null },
          this.#source,
          this.#signal,
        );
      case "chart":
        return new ChartView(view.kind === "chart" ? view.chart : {}, this.#source, this.#signal);
      case "card":
        return cardView();
      case "log":
        return new LogView(view.kind === "log" ? view.field : null);
      case "metric":
        return view.kind === "metric" ? metricView(view.field, view.label) : metricView(null, null);
      case "tree":
        return treeView();
      default:
        return kind satisfies never;
    }
  }

  /** A view has other rows than it was given: a whole table reads its own. */
  #resummed(): void {
    this.#drawSummary();
    if (this.#view?.kind === "stored") this.#why?.drawn(false);
  }

  #drawSummary(): void {
    setText(this.#summary, this.#standing?.summary() ?? "");
  }

  #fail(failure: QueryFailure): void {
    this.#next = null;
    const box = failureBox(failure.title ?? `${titleOf(this.#spec).name} failed`, failure.message);
    if (failure.data !== undefined) {
      const data = treeView();
      data.draw(failure.data);
      box.append(data.element);
    }
    this.#problem.replaceChildren(box);
    this.#problem.hidden = false;
    this.#host.dataset.state = "error";
  }

  #link(link: Link): void {
    if (this.#host.dataset.link === link) return;
    this.#host.dataset.link = link;
    setText(this.#status, LINK_TEXTS[link]);
    this.#status.title = `${this.#spec.deployment}: ${LINK_TEXTS[link]}`;
    clearTimeout(this.#trouble);
    if (link !== "live" && link !== "answered")
      this.#trouble = setTimeout(() => this.#explain(), TROUBLE_MS);
  }

  /** The connection has been away for a while: what holds. Where nothing is shown yet, in plain sight. */
  #explain(): void {
    const trying = "The deployment does not answer; trying on.";
    if (this.#updates === 0) setText(this.#status, trying);
    else this.#status.title = `${trying} What you see is the last that arrived.`;
  }
}

/** What is followed, in its user's words: the system's own queries have other names to them. */
export function titleOf({ path, args, view }: LiveSpec): { name: string; text: string } {
  if (view.kind === "stored") {
    return view.of ? { name: "SQL", text: preview(view.of.sql) } : { name: view.table, text: "" };
  }
  if (path === SQL_ROWS) return { name: "SQL", text: preview(args.sql) };
  const texts = Object.entries(args).map(([name, value]) => `${name}: ${brief(value)}`);
  return { name: path, text: texts.join(", ") };
}

/** Between which moments a whole table is compared: its versions are of now. */
function momentsOf([from, to]: readonly [Value, Value]): [number, number | null] {
  return [Number(from), typeof to === "bigint" ? null : Number(to)];
}

/** Of when a view is that is of one moment for ever, in milliseconds since 1970. */
function momentOf({ view }: LiveSpec): number | null {
  const ts = view.kind === "stored" && view.of?.ts;
  return ts ? Number(ts) / 1e6 : null;
}

/** What is of one moment has one value. */
const STILL: Pick<Source, "follow" | "followsAny"> = {
  followsAny: false,
  follow: (_query, follower) => {
    follower.link("answered");
    follower.value(null);
  },
};

/** A vector says how long it is: nobody reads its numbers. */
function brief(value: Value): string {
  const isVector = Array.isArray(value) && value.length > 8 && typeof value[0] === "number";
  return isVector ? `[${value.length} numbers]` : preview(value);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches("input, select, textarea");
}
