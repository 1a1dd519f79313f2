/**
 * Whether a value is one of a validator's, as a page sees it before it is sent.
 *
 * The deployment decides: what passes here may still be refused there (an id of another
 * table looks like any other).
 */
import { jsonToConvex, type Value } from "convex/values";
import { type Field, type Validator, validatorText } from "./inputs.ts";
import { isObject } from "./spec.ts";
import { kindOf, sameValue } from "./value.ts";

/** What is wrong with a value, and where: `tags[1] is a number: this takes string`. Null: nothing. */
export function problemOf(value: Value, validator: Validator, where = ""): string | null {
  switch (validator.type) {
    case "any":
      return null;
    case "union":
      return validator.value.some((each) => problemOf(value, each) === null)
        ? null
        : unlike(value, validator, where);
    case "literal":
      return sameValue(value, jsonToConvex(validator.value)) ? null : unlike(value, validator, where);
    case "array":
      return Array.isArray(value)
        ? first(value.map((each, at) => problemOf(each, validator.value, `${where}[${at}]`)))
        : unlike(value, validator, where);
    case "record":
      return isObject(value)
        ? first(
            Object.entries(value).map(
              ([key, each]) =>
                problemOf(key, validator.keys, within(where, key)) ??
                problemOf(each, validator.values.fieldType, within(where, key)),
            ),
          )
        : unlike(value, validator, where);
    case "object":
      return isObject(value)
        ? problemOfFields(value, validator.value, where)
        : unlike(value, validator, where);
    default:
      return typeOf(value) === (validator.type === "id" ? "string" : validator.type)
        ? null
        : unlike(value, validator, where);
  }
}

function problemOfFields(
  value: Record<string, Value>,
  fields: Readonly<Record<string, Field>>,
  where: string,
): string | null {
  const stranger = Object.keys(value).find((name) => !(name in fields));
  if (stranger !== undefined) return `${within(where, stranger)} is no field of this.`;
  return first(
    Object.entries(fields).map(([name, { fieldType, optional }]) => {
      const field = value[name];
      if (field !== undefined) return problemOf(field, fieldType, within(where, name));
      return optional ? null : `${within(where, name)} is missing.`;
    }),
  );
}

function first(problems: readonly (string | null)[]): string | null {
  return problems.find((problem) => problem !== null) ?? null;
}

function within(where: string, name: string): string {
  return where === "" ? name : `${where}.${name}`;
}

function unlike(value: Value, validator: Validator, where: string): string {
  const kind = kindOf(value) === "id" ? "string" : kindOf(value);
  return `${where === "" ? "This" : where} is ${kind}, and is to be ${validatorText(validator)}.`;
}

/** As validators name it. */
function typeOf(value: Value): string {
  const kind = kindOf(value);
  return kind === "id" ? "string" : kind === "int64" ? "bigint" : kind;
}
