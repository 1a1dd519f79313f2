/**
 * The chart bundle: Vega-Lite, in the page's colours, its data replaced in place.
 *
 * Expressions of a chart are interpreted, never compiled: a chart comes with a
 * notebook, and a notebook's page runs no code of its outputs.
 */
import embed, { type VisualizationSpec } from "vega-embed";
import type { Charts, Datum, Mounted } from "./contract.ts";

/** The name under which a chart has the live rows. */
const LIVE = "live";
const SIZE = { width: 480, height: 260 };
const COMPOSED = ["hconcat", "vconcat", "concat", "facet", "repeat"];

export const mount: Charts["mount"] = async (host, chart, data): Promise<Mounted> => {
  const result = await embed(host, specOf(chart, data, host), {
    actions: false,
    ast: true,
    renderer: "svg",
    tooltip: true,
  });
  return {
    async update(rows) {
      const { view } = result;
      const changed = view
        .changeset()
        .remove(() => true)
        .insert([...rows]);
      await view.change(LIVE, changed).runAsync();
    },
    dispose: () => result.finalize(),
  };
};

function specOf(
  chart: Readonly<Record<string, unknown>>,
  data: readonly Datum[],
  host: HTMLElement,
): VisualizationSpec {
  const { data: _own, datasets: _sets, ...rest } = chart;
  const composed = COMPOSED.some((name) => name in rest);
  return {
    ...(composed ? {} : SIZE),
    ...rest,
    config: { ...coloursOf(host), ...(rest.config as object | undefined) },
    data: { name: LIVE, values: [...data] },
  } as unknown as VisualizationSpec;
}

function coloursOf(host: HTMLElement): object {
  const style = getComputedStyle(host);
  const [ink, quiet, line] = ["--ink", "--quiet", "--line"].map((name) =>
    style.getPropertyValue(name).trim(),
  );
  const font = style.fontFamily;
  const labels = { labelColor: quiet, titleColor: ink, labelFont: font, titleFont: font };
  return {
    background: "transparent",
    font,
    title: { color: ink },
    axis: { ...labels, domainColor: line, gridColor: line, tickColor: line, titleFontWeight: 500 },
    legend: labels,
    header: labels,
    text: { color: ink },
    view: { stroke: "transparent" },
    mark: { color: style.getPropertyValue("--accent").trim() },
  };
}
