/** What the chart bundle offers: its own script, loaded when a chart is first drawn. */
export type Datum = Record<string, unknown>;

export interface Mounted {
  /** New data in the same chart: scales and marks move, nothing is built anew. */
  update(data: readonly Datum[]): Promise<void>;
  dispose(): void;
}

export interface Charts {
  /** Draws a Vega-Lite chart of these data in the host, in the host's colours. */
  mount(
    host: HTMLElement,
    chart: Readonly<Record<string, unknown>>,
    data: readonly Datum[],
  ): Promise<Mounted>;
}
