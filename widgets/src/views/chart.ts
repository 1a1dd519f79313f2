/** The chart: rows drawn by Vega-Lite, and drawn on in place when they change. */
import type { Value } from "convex/values";
import type { Datum, Mounted } from "../chart/contract.ts";
import { el } from "../dom.ts";
import type { Source } from "../source.ts";
import { isObject } from "../spec.ts";
import { rowsOf } from "../table/rows.ts";
import { count } from "./tree.ts";
import type { View } from "./view.ts";

type Chart = Readonly<Record<string, unknown>>;

/** The element of the page that a theme changes. */
const THEMED = "data-jp-theme-light";

export class ChartView implements View {
  readonly element = el("div", {
    class: "chart",
    tabindex: 0,
    role: "group",
    "aria-label": "chart",
  });
  readonly #chart: Chart;
  readonly #source: Source;
  readonly #signal: AbortSignal;
  #rows: readonly Datum[] = [];
  /** One after the other: mounting, then each newer data. */
  #work: Promise<Mounted | null> = Promise.resolve(null);
  #waiting = false;

  constructor(chart: Chart, source: Source, signal: AbortSignal) {
    this.#chart = chart;
    this.#source = source;
    this.#signal = signal;
    const themes = new MutationObserver(() => this.#again());
    themes.observe(document.body, { attributeFilter: [THEMED, "class"] });
    signal.addEventListener("abort", () => {
      themes.disconnect();
      void this.#work.then((mounted) => mounted?.dispose());
    });
  }

  draw(value: Value): void {
    this.#rows = (rowsOf(value)?.records ?? []).map((row) => plain(row) as Datum);
    if (this.#waiting) return; // the newest rows are taken when its turn comes
    this.#waiting = true;
    this.#work = this.#work.then((mounted) => this.#drawn(mounted));
  }

  summary(): string {
    return count(this.#rows.length, "row");
  }

  async #drawn(mounted: Mounted | null): Promise<Mounted | null> {
    this.#waiting = false;
    if (this.#signal.aborted) return mounted;
    try {
      if (!mounted) return await this.#mount();
      await mounted.update(this.#rows);
      return mounted;
    } catch (error) {
      this.#say(error as Error);
      return null;
    }
  }

  async #mount(): Promise<Mounted> {
    const charts = await this.#source.part("charts");
    const [wide, high] = [this.#chart.width, this.#chart.height].map(
      (size) => size === "container",
    );
    const host = el("div", { class: "vega", "data-wide": wide, "data-high": high });
    this.element.replaceChildren(host);
    const mounted = await charts.mount(host, this.#chart, this.#rows);
    this.element.dataset.drawn = "true";
    return mounted;
  }

  /** In the colours of another theme. */
  #again(): void {
    this.#work = this.#work.then((mounted) => {
      if (!mounted || this.#signal.aborted) return mounted;
      mounted.dispose();
      return this.#drawn(null);
    });
  }

  #say(error: Error): void {
    const text = `This chart cannot be drawn: ${error.message}`;
    this.element.replaceChildren(el("div", { class: "failure", role: "alert", text }));
  }
}

/** Values as Vega takes them: 64-bit integers become numbers, bytes their length. */
function plain(value: Value): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof ArrayBuffer) return value.byteLength;
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}
