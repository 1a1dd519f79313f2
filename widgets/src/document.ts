/**
 * The document that an id names, below what one reads: live, whichever table it is of.
 *
 *   closed ──an id is opened──▶ open ⇄ another one, by its ids and back ──Escape──▶ closed
 *
 * Views say which: they tell `convexlab:document`, and whoever shows them has one of these.
 */
import type { Value } from "convex/values";
import { el, setText } from "./dom.ts";
import { DOCUMENT } from "./owner.ts";
import type { Follower, Source } from "./source.ts";
import { cardView } from "./views/card.ts";
import type { View } from "./views/view.ts";

export class OpenDocument {
  readonly element = el("section", { class: "document", hidden: true, tabindex: -1 });
  readonly #source: Source;
  readonly #signal: AbortSignal;
  readonly #title = el("span", { class: "where", role: "status" });
  readonly #place = el("div", { class: "whole" });
  readonly #back = button("back", "←", "The document before");
  /** The ids that were opened, from the first; none: it is closed. */
  readonly #trail: string[] = [];
  /** What ends the following of the one in sight. */
  #life = new AbortController();
  /** Where the keyboard was. */
  #from: Element | null = null;

  constructor(source: Source, signal: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
    const close = button("close", "×", "Close");
    close.addEventListener("click", () => this.close());
    this.#back.addEventListener("click", () => this.#goBack());
    const bar = el("div", { class: "bar" }, this.#back, this.#title, close);
    this.element.append(bar, this.#place);
  }

  open(id: string): void {
    if (this.#trail.at(-1) === id) return;
    if (this.#trail.length === 0) this.#from = focused(this.element);
    this.#trail.push(id);
    this.#show(id);
  }

  /** Whether there was something to close. */
  close(): boolean {
    if (this.#trail.splice(0).length === 0) return false;
    this.#life.abort();
    this.element.hidden = true;
    if (this.#from instanceof HTMLElement) this.#from.focus({ preventScroll: true });
    return true;
  }

  #goBack(): void {
    this.#trail.pop();
    const id = this.#trail.at(-1);
    if (id === undefined) this.close();
    else this.#show(id);
  }

  #show(id: string): void {
    this.#life.abort();
    this.#life = new AbortController();
    // What was pressed in it goes: the keyboard stays here.
    if (this.element.contains(focused(this.element))) this.element.focus();
    this.element.hidden = false;
    this.element.setAttribute("aria-label", `document ${id}`);
    this.#back.hidden = this.#trail.length < 2;
    this.#say(`document ${id}`);
    this.#place.replaceChildren();
    const signal = AbortSignal.any([this.#signal, this.#life.signal]);
    this.#read(id, this.#drawing(id, signal), signal);
  }

  #drawing(id: string, signal: AbortSignal): Follower {
    let card: View | null = null;
    return {
      value: (value: Value) => {
        if (signal.aborted) return;
        this.#say(value === null ? `There is no document ${id}.` : `document ${id}`);
        this.#place.hidden = value === null;
        if (value === null) return;
        if (!card) {
          card = cardView();
          this.#place.replaceChildren(card.element);
        }
        card.draw(value);
      },
      failed: ({ message }) => signal.aborted || this.#say(message),
      link: () => {},
    };
  }

  /** Over the comm one document is asked for, and not followed. */
  #read(id: string, follower: Follower, signal: AbortSignal): void {
    const query = { path: DOCUMENT, args: { id } };
    if (this.#source.followsAny) {
      this.#source.follow(query, follower, signal);
      return;
    }
    this.#source.call("query", query.path, query.args).then(follower.value, follower.failed);
  }

  #say(text: string): void {
    setText(this.#title, text);
  }
}

function focused(node: Element): Element | null {
  const root = node.getRootNode();
  return root instanceof ShadowRoot ? root.activeElement : null;
}

function button(name: string, text: string, label: string): HTMLButtonElement {
  return el("button", { type: "button", class: name, text, title: label, "aria-label": label });
}
