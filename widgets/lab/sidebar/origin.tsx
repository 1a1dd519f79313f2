/** Where a module came from: its notebook and cell, and when it came from there last. */
import * as React from "react";
import { timeText } from "../../src/value.ts";
import type { Module, Origin } from "./deployment.ts";
import type { Desk } from "./desk.ts";

export function OriginLine({ module, desk }: { module: Module | undefined; desk: Desk }) {
  const origin = module?.origin;
  if (!module || !origin?.name) return null;
  const since = module.pushedAt ? timeText(module.pushedAt) : "";
  const isNotebook = origin.kind === "cell";
  const where = isNotebook ? origin.name : fileName(origin.name);
  return (
    <div className="convexlab-origin">
      <button
        type="button"
        className="convexlab-plain"
        title={`${origin.path ?? origin.name}${since && ` · ${since}`}`}
        aria-label={`Open ${where}, where ${module.path} came from`}
        onClick={() => desk.openOrigin(origin)}
      >
        {where}
        {cellOf(origin)}
      </button>
      <time>{shortTime(since)}</time>
    </div>
  );
}

function cellOf({ cell, position }: Origin): string {
  if (typeof position === "number") return `, cell ${position}`;
  return typeof cell === "number" ? `, In[${cell}]` : "";
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Of today: the time of day alone. */
function shortTime(since: string): string {
  const today = timeText(Date.now()).slice(0, 10);
  return since.startsWith(today) ? since.slice(11, 16) : since.slice(0, 16);
}

/**
 * Where a file may be below Jupyter's root, which the page does not know: `a/b/c.ipynb`,
 * `b/c.ipynb`, `c.ipynb`.
 */
export function placesOf({ path, name }: Origin): string[] {
  const parts = (path ?? name).split("/").filter((part) => part !== "");
  return parts.map((_, at) => parts.slice(at).join("/"));
}
