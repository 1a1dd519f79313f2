/**
 * The tree: any value, opened as far as one likes.
 *
 * A branch is known by its path, so what is open stays open while values change
 * under it. Branches are built when opened, a hundred children at a time.
 */
import type { Value } from "convex/values";
import { calm, el, flash, OPENS, setText, tell } from "../dom.ts";
import { isObject } from "../spec.ts";
import { full, kindOf, preview, sameValue } from "../value.ts";
import type { View } from "./view.ts";

const CHILDREN_AT_ONCE = 100;
const OPEN_AT_FIRST = 2;

type Entry = readonly [name: string, value: Value];

export function treeView(): View {
  const element = el("div", { class: "tree", role: "tree", "aria-label": "value" });
  let root: Branch | null = null;
  let value: Value = null;
  element.addEventListener("keydown", (event) => steer(element, event));
  return {
    element,
    draw(next) {
      value = next;
      if (root) return root.draw(next);
      root = new Branch("", next, 0);
      element.append(root.element);
      root.element.querySelector<HTMLElement>(".twig")?.setAttribute("tabindex", "0");
    },
    summary: () => sizeText(value),
  };
}

export function sizeText(value: Value): string {
  if (Array.isArray(value)) return count(value.length, "item");
  return isObject(value) ? count(Object.keys(value).length, "field") : kindOf(value);
}

export function count(n: number, thing: string): string {
  return `${n.toLocaleString("en")} ${thing}${n === 1 ? "" : "s"}`;
}

/** `3 of 1,200 rows`. */
export function counted(n: number, of: number, thing: string): string {
  return `${n.toLocaleString("en")} of ${count(of, thing)}`;
}

class Branch {
  readonly element = el("div", { class: "branch" });
  readonly #twig: HTMLElement;
  readonly #text = el("span", { class: "leaf" });
  readonly #depth: number;
  #value: Value;
  /** Null while the branch is closed; made by opening, dropped by closing. */
  #children: Map<string, Branch> | null = null;
  #group: HTMLElement | null = null;
  #limit = CHILDREN_AT_ONCE;

  constructor(name: string, value: Value, depth: number) {
    this.#value = value;
    this.#depth = depth;
    const label = name === "" ? [] : [el("span", { class: "key", text: name }), ": "];
    this.#twig = el("div", {
      class: "twig",
      role: "treeitem",
      tabindex: -1,
      "aria-level": depth + 1,
    });
    this.#twig.append(el("span", { class: "fold", "aria-hidden": "true" }), ...label, this.#text);
    this.#twig.addEventListener("click", () => this.toggle());
    this.#twig.addEventListener("convexlab:toggle", () => this.toggle());
    this.element.append(this.#twig);
    this.#paint();
    if (depth < OPEN_AT_FIRST && entriesOf(value).length <= CHILDREN_AT_ONCE) this.toggle();
  }

  draw(value: Value): void {
    const before = this.#value;
    if (sameValue(before, value)) return;
    this.#value = value;
    const leaf = entriesOf(before).length === 0 && entriesOf(value).length === 0;
    if (entriesOf(value).length === 0) this.#close();
    this.#paint();
    if (leaf || !this.#children) flash(this.#text);
    if (this.#children) this.#drawChildren(true);
  }

  /** An id has nothing inside, but names a document. */
  toggle(): void {
    if (kindOf(this.#value) === "id") tell(this.element, "document", this.#value);
    else if (this.#children) this.#close();
    else if (entriesOf(this.#value).length > 0) this.#open();
    this.#paint();
  }

  #open(): void {
    this.#children = new Map();
    this.#group = el("div", { class: "group", role: "group" });
    this.element.append(this.#group);
    this.#drawChildren(false);
  }

  #close(): void {
    this.#group?.remove();
    this.#group = null;
    this.#children = null;
  }

  #drawChildren(announce: boolean): void {
    const children = this.#children as Map<string, Branch>;
    const group = this.#group as HTMLElement;
    const entries = entriesOf(this.#value);
    const shown = entries.slice(0, this.#limit);
    const names = new Set(shown.map(([name]) => name));
    for (const [name, child] of children) {
      if (!names.has(name)) {
        child.element.remove();
        children.delete(name);
      }
    }
    for (const [place, [name, value]] of shown.entries()) {
      let child = children.get(name);
      if (child) child.draw(value);
      else {
        child = new Branch(name, value, this.#depth + 1);
        children.set(name, child);
        if (announce) flash(child.#twig);
      }
      if (group.children[place] !== child.element) {
        group.insertBefore(child.element, group.children[place] ?? null);
      }
    }
    this.#drawMore(group, entries.length - shown.length);
  }

  #drawMore(group: HTMLElement, left: number): void {
    group.querySelector(":scope > .more")?.remove();
    if (left <= 0) return;
    const more = el("button", {
      class: "more",
      type: "button",
      text: `… ${count(left, "more item")}`,
    });
    more.addEventListener("click", () => {
      this.#limit += CHILDREN_AT_ONCE;
      this.#drawChildren(false);
    });
    group.append(more);
  }

  #paint(): void {
    const branches = entriesOf(this.#value).length > 0;
    const open = this.#children !== null;
    const kind = kindOf(this.#value);
    this.#text.className = `leaf ${kind}`;
    setText(this.#text, open ? opened(this.#value) : leafText(this.#value));
    this.#text.title = kind === "id" ? OPENS : kind === "string" ? full(this.#value) : "";
    if (branches) this.#twig.setAttribute("aria-expanded", String(open));
    else this.#twig.removeAttribute("aria-expanded");
    if (!branches) calm(this.#text);
  }
}

function entriesOf(value: Value): readonly Entry[] {
  if (Array.isArray(value)) return value.map((item, place) => [String(place), item] as const);
  return isObject(value) ? Object.entries(value) : [];
}

function leafText(value: Value): string {
  return typeof value === "string" ? JSON.stringify(value) : preview(value);
}

function opened(value: Value): string {
  return Array.isArray(value) ? `[${value.length}]` : `{${Object.keys(value as object).length}}`;
}

/** The keys of the WAI-ARIA tree pattern, over the twigs in sight. */
function steer(tree: HTMLElement, event: KeyboardEvent): void {
  const twigs = [...tree.querySelectorAll<HTMLElement>(".twig")];
  const at = twigs.indexOf(event.target as HTMLElement);
  const here = twigs[at];
  if (!here) return;
  const expanded = here.getAttribute("aria-expanded");
  const go = (place: number) => focusTwig(twigs, place);
  const toggle = () => here.dispatchEvent(new Event("convexlab:toggle"));
  switch (event.key) {
    case "ArrowDown":
      go(at + 1);
      break;
    case "ArrowUp":
      go(at - 1);
      break;
    case "Home":
      go(0);
      break;
    case "End":
      go(twigs.length - 1);
      break;
    case "ArrowRight":
      if (expanded === "false") toggle();
      else if (expanded === "true") go(at + 1);
      break;
    case "ArrowLeft":
      if (expanded === "true") toggle();
      else go(twigs.indexOf(parentTwig(here) ?? here));
      break;
    case "Enter":
    case " ":
      toggle();
      break;
    default:
      return;
  }
  event.preventDefault();
}

function parentTwig(twig: HTMLElement): HTMLElement | null {
  const branch = twig.parentElement?.parentElement?.closest(".branch");
  return branch?.querySelector<HTMLElement>(":scope > .twig") ?? null;
}

function focusTwig(twigs: HTMLElement[], place: number): void {
  const next = twigs[place];
  if (!next) return;
  for (const twig of twigs) twig.tabIndex = twig === next ? 0 : -1;
  next.focus();
}
