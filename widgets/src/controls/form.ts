/**
 * A form: an input for each argument of a mutation, checked as its validator says.
 *
 *   begun ──input──▶ typed ──submit──▶ sent ──answer──▶ begun
 *                      ▲                └──input──▶ typed: it is the next call, which the
 *                      └──────────── refused ◀──┘          answer leaves as it is
 */
import type { Value } from "convex/values";
import { el, setText } from "../dom.ts";
import { type Field, type Input, InputError, inputFor, validatorText } from "../inputs.ts";
import type { Source } from "../source.ts";
import type { Args } from "../spec.ts";
import type { Action } from "./control.ts";
import { Outcome } from "./outcome.ts";

let made = 0;

interface Line {
  readonly name: string;
  readonly input: Input;
  readonly reason: HTMLElement;
  readonly elements: readonly HTMLElement[];
}

/**
 * Args:
 *   changed: told what is typed, at each change: the arguments, or null while they are none.
 */
export function formControl(
  action: Action,
  source: Source,
  changed: (args: Args | null) => void = () => {},
): HTMLFormElement {
  const form = `convexlab-form-${++made}`;
  const lines = Object.entries(action.fields).map(([name, field]) => lineOf(form, name, field));
  const outcome = new Outcome();
  const button = el("button", { class: "primary", text: action.label ?? action.path });
  const element = el(
    "form",
    { class: "control", novalidate: true },
    el("div", { class: "fields" }, ...lines.flatMap((line) => line.elements)),
    el("div", { class: "line" }, button, outcome.element),
  );
  // How often it was submitted, and whether something was typed since.
  let sent = 0;
  let isTyped = false;
  begin(lines, action.args);
  element.addEventListener("input", () => {
    const args = typedIn(lines);
    // What was wrong and is not any more need not stand there.
    if (args) for (const line of lines) judge(line, "");
    if (!outcome.isAtWork && !isTyped) outcome.clear();
    isTyped = true;
    changed(args);
  });
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    if (outcome.isAtWork && !isTyped) return; // a double click is one call
    const args = argumentsOf(lines);
    if (args) void submit(args);
    else if (!outcome.isAtWork) outcome.clear();
  });
  const submit = async (args: Args) => {
    const mine = ++sent;
    isTyped = false;
    const before = focusIn(element);
    const done = await outcome.of(button, () => source.call("mutation", action.path, args));
    if (!done || isTyped || mine !== sent) return;
    begin(lines, action.args);
    if (before && focusIn(element) === before) lines[0]?.input.element.focus();
  };
  return element;
}

/** What stands in a form's inputs, by argument: of a choice, its text. */
export type Typed = Readonly<Record<string, string>>;

export function typedOf(form: HTMLFormElement): Typed {
  return Object.fromEntries(inputsOf(form).map(([name, input]) => [name, textOf(input)]));
}

/** By argument: `lineOf` says what ids they have. */
function inputsOf(form: HTMLFormElement): [string, Input["element"]][] {
  const inputs = [...form.querySelectorAll<Input["element"]>("input, select, textarea")];
  return inputs.map((each) => [each.id.replace(/^convexlab-form-\d+-/, ""), each]);
}

function textOf(input: Input["element"]): string {
  return input instanceof HTMLSelectElement ? (input.selectedOptions[0]?.text ?? "") : input.value;
}

/** Has what was typed in another form stand in this one, as far as it takes such arguments. */
export function typeAgain(form: HTMLFormElement, typed: Typed): void {
  for (const [name, input] of inputsOf(form)) {
    const text = typed[name];
    if (text === undefined) continue;
    if (!(input instanceof HTMLSelectElement)) input.value = text;
    else for (const each of input.options) each.selected ||= each.text === text;
  }
  form.dispatchEvent(new Event("input"));
}

/** What has the focus in a form; null: something outside of it. */
function focusIn(form: HTMLFormElement): Element | null {
  const { activeElement } = form.getRootNode() as Document | ShadowRoot;
  return form.contains(activeElement) ? activeElement : null;
}

function begin(lines: readonly Line[], args: Args): void {
  for (const { name, input } of lines) input.write(args[name]);
}

function lineOf(form: string, name: string, field: Field): Line {
  const input = inputFor(field);
  const reason = el("div", { class: "reason", role: "alert", id: `${form}-${name}-reason` });
  input.element.id = `${form}-${name}`;
  input.element.setAttribute("aria-describedby", reason.id);
  const type = `${validatorText(field.fieldType)}${field.optional ? ", optional" : ""}`;
  const label = el(
    "label",
    { for: input.element.id },
    name,
    el("span", { class: "type", text: type }),
  );
  return {
    name,
    input,
    reason,
    elements: [label, el("div", { class: "field" }, input.element, reason)],
  };
}

/** Null while an input holds no value of its validator: somebody is about to type it. */
function typedIn(lines: readonly Line[]): Args | null {
  try {
    const read = lines.map(({ name, input }) => [name, input.read()] as const);
    return Object.fromEntries(read.filter(([, value]) => value !== undefined)) as Args;
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}

/** Null if an input holds no value of its validator: it says so. */
function argumentsOf(lines: readonly Line[]): Args | null {
  const args: Record<string, Value> = {};
  let wrong: Line | undefined;
  for (const line of lines) {
    try {
      const value = line.input.read();
      if (value !== undefined) args[line.name] = value;
      judge(line, "");
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      judge(line, error.message);
      wrong ??= line;
    }
  }
  wrong?.input.element.focus();
  return wrong ? null : args;
}

function judge({ reason, input }: Line, problem: string): void {
  setText(reason, problem);
  input.element.setAttribute("aria-invalid", String(problem !== ""));
}
