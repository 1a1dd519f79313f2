/**
 * Parts that few views need, each a script of its own, loaded once a page when one is
 * asked for: from the JupyterLab extension's files, or as the kernel sends it.
 */
import type { Charts } from "./chart/contract.ts";
import type { Comparing } from "./compare/contract.ts";

export interface Parts {
  readonly charts: Charts;
  readonly compare: Comparing;
}

export type Part = keyof Parts;

/** The parts' files, named by the build after what is in them. */
declare const PART_FILES: Readonly<Record<Part, string>>;

const LOADED = Symbol.for("convexlab.parts.v1");

export function loadPart<P extends Part>(
  part: P,
  fetched: (() => Promise<string>) | null,
): Promise<Parts[P]> {
  const page = globalThis as unknown as { [LOADED]?: Map<Part, Promise<Parts[Part]>> };
  page[LOADED] ??= new Map();
  const parts = page[LOADED];
  const loading = parts.get(part) ?? load(part, fetched);
  parts.set(part, loading);
  loading.catch(() => parts.delete(part));
  return loading as Promise<Parts[P]>;
}

async function load<P extends Part>(
  part: P,
  fetched: (() => Promise<string>) | null,
): Promise<Parts[P]> {
  if (!fetched) return (await import(ofPage(part, document))) as Parts[P];
  const script = new Blob([await fetched()], { type: "text/javascript" });
  const address = URL.createObjectURL(script);
  try {
    return (await import(address)) as Parts[P];
  } finally {
    URL.revokeObjectURL(address);
  }
}

export function ofPage(part: Part, page: Document): string {
  const text = page.getElementById("jupyter-config-data")?.textContent ?? "{}";
  const config = JSON.parse(text) as { baseUrl?: string; fullLabextensionsUrl?: string };
  const extensions = config.fullLabextensionsUrl ?? `${config.baseUrl ?? "/"}lab/extensions`;
  return new URL(`${extensions}/convexlab/static/${PART_FILES[part]}`, page.location.href).href;
}
