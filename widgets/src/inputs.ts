/**
 * Inputs made from validators: what a function takes decides what one may type.
 *
 * Validators come as Convex writes them (ValidatorJSON). Each input reads as a
 * value of its validator, or says in the user's terms why it cannot.
 */
import { type JSONValue, jsonToConvex, type Value } from "convex/values";
import { el } from "./dom.ts";
import { problemOf } from "./conforms.ts";
import { full } from "./value.ts";

export type Validator =
  | { readonly type: "null" | "number" | "bigint" | "boolean" | "string" | "bytes" | "any" }
  | { readonly type: "literal"; readonly value: JSONValue }
  | { readonly type: "id"; readonly tableName: string }
  | { readonly type: "array"; readonly value: Validator }
  | { readonly type: "record"; readonly keys: Validator; readonly values: Field }
  | { readonly type: "object"; readonly value: Readonly<Record<string, Field>> }
  | { readonly type: "union"; readonly value: readonly Validator[] };

export interface Field {
  readonly fieldType: Validator;
  readonly optional: boolean;
}

/** What was typed is no value of the validator; the message says what would be. */
export class InputError extends Error {}

export interface Input {
  readonly element: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;
  /** Undefined: left out. Throws InputError. */
  read(): Value | undefined;
  write(value: Value | undefined): void;
}

export function inputFor(field: Field): Input {
  const { rest, nullable } = withoutNull(field.fieldType);
  const empty = field.optional ? undefined : nullable ? null : "refuse";
  const choices = choicesOf(rest);
  if (choices) return choiceInput(choices, empty);
  switch (rest.type) {
    case "number":
      return textInput("number", empty, { inputmode: "decimal" }, numberOf);
    case "bigint":
      return textInput("a whole number", empty, { inputmode: "numeric" }, bigintOf);
    case "string":
      return textInput("text", empty === "refuse" ? "" : empty, {}, (text) => text);
    case "id":
      return textInput(`an id of ${rest.tableName}`, empty, {}, (text) => text.trim() || undefined);
    case "bytes":
      return textInput("bytes in base64", empty, {}, bytesOf);
    default:
      return jsonInput(rest, empty);
  }
}

/** A validator as a schema writes it. */
export function validatorText(validator: Validator): string {
  switch (validator.type) {
    case "literal":
      return JSON.stringify(validator.value);
    case "id":
      return `id of ${validator.tableName}`;
    case "array":
      return `array of ${validatorText(validator.value)}`;
    case "record":
      return `record of ${validatorText(validator.values.fieldType)}`;
    case "object":
      return `{${Object.entries(validator.value).map(fieldText).join(", ")}}`;
    case "union":
      return validator.value.map(validatorText).join(" | ");
    case "bigint":
      return "int64";
    default:
      return validator.type;
  }
}

function fieldText([name, { fieldType, optional }]: [string, Field]): string {
  return `${name}${optional ? "?" : ""}: ${validatorText(fieldType)}`;
}

/** The fields of an object, as of a function's arguments; none if anything may be there. */
export function fieldsOf(validator: Validator | undefined): Record<string, Field> {
  return validator?.type === "object" ? { ...validator.value } : {};
}

type Empty = undefined | null | "" | "refuse";
type Choice = readonly [text: string, value: Value];

function withoutNull(validator: Validator): { rest: Validator; nullable: boolean } {
  if (validator.type !== "union") return { rest: validator, nullable: false };
  const others = validator.value.filter((each) => each.type !== "null");
  const [only] = others;
  const rest: Validator = others.length === 1 && only ? only : { type: "union", value: others };
  return { rest, nullable: others.length < validator.value.length };
}

/** The values there are to choose from; null where there are too many to list. */
function choicesOf(validator: Validator): Choice[] | null {
  if (validator.type === "boolean") {
    return [
      ["true", true],
      ["false", false],
    ];
  }
  if (validator.type === "literal") {
    const value = jsonToConvex(validator.value);
    return [[full(value), value]];
  }
  if (validator.type !== "union") return null;
  const parts = validator.value.map(choicesOf);
  return parts.some((part) => part === null) ? null : (parts.flat() as Choice[]);
}

function choiceInput(choices: readonly Choice[], empty: Empty): Input {
  const blank = empty === "refuse" ? [] : [el("option", { value: "", text: emptyText(empty) })];
  const options = choices.map(([text], at) => el("option", { value: at, text }));
  const element = el("select", {}, ...blank, ...options);
  return {
    element,
    read() {
      if (element.value === "") return empty === "refuse" ? undefined : empty;
      return choices[Number(element.value)]?.[1];
    },
    write(value) {
      const at = choices.findIndex(([, choice]) => choice === value);
      element.value = at >= 0 ? String(at) : blank.length > 0 ? "" : "0";
    },
  };
}

function emptyText(empty: Empty): string {
  return empty === null ? "null" : "–";
}

function textInput(
  what: string,
  empty: Empty,
  attributes: Record<string, string>,
  parse: (text: string) => Value | undefined,
): Input {
  const element = el("input", { ...attributes, spellcheck: "false", autocomplete: "off" });
  element.placeholder = empty === undefined ? `${what}, or nothing` : what;
  return {
    element,
    read() {
      if (element.value === "" && empty !== "refuse") return empty;
      const value = parse(element.value);
      if (value === undefined) throw new InputError(`This takes ${article(what)}.`);
      return value;
    },
    write(value) {
      if (value instanceof ArrayBuffer) element.value = base64(value);
      else element.value = value === undefined || value === null ? "" : full(value);
    },
  };
}

function article(what: string): string {
  return /^(an? |text|bytes)/.test(what) ? what : `a ${what}`;
}

function numberOf(text: string): number | undefined {
  const number = Number(text.trim());
  return text.trim() === "" || Number.isNaN(number) ? undefined : number;
}

function bytesOf(text: string): ArrayBuffer | undefined {
  try {
    return Uint8Array.from(atob(text.trim()), (char) => char.charCodeAt(0)).buffer;
  } catch {
    return undefined;
  }
}

function base64(bytes: ArrayBuffer): string {
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}

function bigintOf(text: string): bigint | undefined {
  return /^[+-]?\d+$/.test(text.trim()) ? BigInt(text.trim()) : undefined;
}

function jsonInput(validator: Validator, empty: Empty): Input {
  const what = validatorText(validator);
  const element = el("textarea", { rows: 2, spellcheck: "false" });
  element.placeholder = `${what}, as JSON`;
  return {
    element,
    read() {
      if (element.value.trim() === "" && empty !== "refuse") return empty;
      const value = valueOf(element.value, what);
      const problem = problemOf(value, validator);
      if (problem) throw new InputError(problem);
      return value;
    },
    write(value) {
      if (value === undefined) element.value = "";
      else element.value = typeof value === "string" ? JSON.stringify(value) : full(value);
    },
  };
}

function valueOf(text: string, what: string): Value {
  try {
    return jsonToConvex(JSON.parse(text) as JSONValue);
  } catch (error) {
    throw new InputError(`This takes ${what} as JSON: ${(error as Error).message}`);
  }
}
