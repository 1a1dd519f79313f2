/** The card: one document, a line for each of its fields. */
import type { Value } from "convex/values";
import { el, flash, OPENS, tell } from "../dom.ts";
import { isObject } from "../spec.ts";
import { full, kindOf, preview, sameValue } from "../value.ts";
import { count, treeView } from "./tree.ts";
import type { View } from "./view.ts";

interface Line {
  readonly name: HTMLElement;
  readonly value: HTMLElement;
  readonly nested: View | null;
  last: Value;
}

export function cardView(): View {
  const element = el("dl", { class: "card" });
  const lines = new Map<string, Line>();
  let fields = 0;
  return {
    element,
    draw(value) {
      const first = lines.size === 0;
      const document = isObject(value) ? value : {};
      fields = Object.keys(document).length;
      for (const [name, line] of lines) {
        if (document[name] === undefined) drop(lines, name, line);
      }
      for (const [name, field] of Object.entries(document)) {
        const line = lines.get(name);
        if (line && sameValue(line.last, field)) continue;
        if (line?.nested && isNested(field)) redraw(line, field);
        else place(lines, element, name, field, line, first);
      }
    },
    summary: () => count(fields, "field"),
  };
}

/** Whether there is anything to open. */
function isNested(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) && Object.keys(value).length > 0;
}

function redraw(line: Line, value: Value): void {
  line.last = value;
  line.nested?.draw(value);
}

function drop(lines: Map<string, Line>, name: string, line: Line): void {
  line.name.remove();
  line.value.remove();
  lines.delete(name);
}

function place(
  lines: Map<string, Line>,
  card: HTMLElement,
  name: string,
  value: Value,
  before: Line | undefined,
  quietly: boolean,
): void {
  const line = makeLine(name, value);
  if (before) {
    before.name.replaceWith(line.name);
    before.value.replaceWith(line.value);
  } else card.append(line.name, line.value);
  lines.set(name, line);
  if (!quietly) flash(line.value);
}

function makeLine(name: string, value: Value): Line {
  const term = el("dt", { text: name });
  if (isNested(value)) {
    const nested = treeView();
    nested.draw(value);
    return { name: term, value: el("dd", {}, nested.element), nested, last: value };
  }
  const kind = kindOf(value, name);
  if (kind === "id") {
    const link = el("button", { type: "button", class: "link", text: full(value), title: OPENS });
    link.addEventListener("click", () => tell(link, "document", value));
    return { name: term, value: el("dd", { class: kind }, link), nested: null, last: value };
  }
  const text = kind === "string" ? full(value) : preview(value, kind);
  const field = el("dd", { class: kind, text, title: full(value) });
  return { name: term, value: field, nested: null, last: value };
}
