/** Loads the chart bundle once a page: from the JupyterLab extension's files, or as the kernel sends it. */
import type { Charts } from "./contract.ts";

/** The bundle's file, named by the build after what is in it. */
declare const CHARTS_FILE: string;

const LOADED = Symbol.for("convexlab.charts.v1");

export function loadCharts(fetched: (() => Promise<string>) | null): Promise<Charts> {
  const page = globalThis as unknown as { [LOADED]?: Promise<Charts> };
  const loading = page[LOADED] ?? load(fetched);
  page[LOADED] = loading;
  loading.catch(() => delete page[LOADED]);
  return loading;
}

async function load(fetched: (() => Promise<string>) | null): Promise<Charts> {
  if (!fetched) return (await import(ofPage(document))) as Charts;
  const script = new Blob([await fetched()], { type: "text/javascript" });
  const address = URL.createObjectURL(script);
  try {
    return (await import(address)) as Charts;
  } finally {
    URL.revokeObjectURL(address);
  }
}

export function ofPage(page: Document): string {
  const text = page.getElementById("jupyter-config-data")?.textContent ?? "{}";
  const config = JSON.parse(text) as { baseUrl?: string; fullLabextensionsUrl?: string };
  const extensions = config.fullLabextensionsUrl ?? `${config.baseUrl ?? "/"}lab/extensions`;
  return new URL(`${extensions}/convexlab/static/${CHARTS_FILE}`, page.location.href).href;
}
