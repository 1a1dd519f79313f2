/**
 * The chart bundle: Vega-Lite, in the page's colours, its data replaced in place.
 *
 * Expressions of a chart are interpreted, never compiled: a chart comes with a
 * notebook, and a notebook's page runs no code of its outputs.
 */
import embed, { type Result, type VisualizationSpec } from "vega-embed";
import type { Charts, Datum, Mounted } from "./contract.ts";

/** The name under which a chart has the live rows. */
const LIVE = "live";
const SIZE = { width: 480, height: 260 };
type View = Result["view"];

const CONTAINER = "container";
const COMPOSED = ["hconcat", "vconcat", "concat", "facet", "repeat"];

export const mount: Charts["mount"] = async (host, chart, data): Promise<Mounted> => {
  const result = await embed(host, specOf(chart, data, host), {
    actions: false,
    ast: true,
    renderer: "svg",
    tooltip: true,
  });
  const { view } = result;
  const sizes = new ResizeObserver(() => void fit(view, chart, host));
  sizes.observe(host);
  return {
    async update(rows) {
      const changed = view
        .changeset()
        .remove(() => true)
        .insert([...rows]);
      await view.change(LIVE, changed).runAsync();
    },
    dispose: () => {
      sizes.disconnect();
      result.finalize();
    },
  };
};

/**
 * A chart that is as wide or as high as its place, when that has another size.
 *
 * Vega looks at the window's size only, and at its place once: while an output is not
 * on the page yet, that is nothing.
 */
async function fit(view: View, chart: Readonly<Record<string, unknown>>, host: HTMLElement) {
  const { clientWidth: width, clientHeight: height } = host;
  const isWider = chart.width === CONTAINER && width > 0 && view.width() !== width;
  const isHigher = chart.height === CONTAINER && height > 0 && view.height() !== height;
  if (isWider) view.width(width);
  if (isHigher) view.height(height);
  if (isWider || isHigher) await view.resize().runAsync();
}

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
