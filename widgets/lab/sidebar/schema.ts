/**
 * A table as a schema declares it: from what the schema says, or, where it does not
 * speak of the table, from what its documents look like.
 */
import { jsonToConvex } from "convex/values";
import { type Field, fieldsOf, type Validator } from "../../src/inputs.ts";
import { literal, textLiteral } from "./code.ts";
import type { Index, Table } from "./deployment.ts";

/** What documents look like, as the deployment tells it: see `functions/shapes`. */
export type Shape =
  | { readonly type: "Never" | "Null" | "Boolean" | "Int64" | "Float64" | "String" | "Bytes" }
  | { readonly type: "Id"; readonly tableName: string }
  | { readonly type: "Array"; readonly shape: Shape }
  | { readonly type: "Record"; readonly valueShape: { readonly shape: Shape } }
  | { readonly type: "Object"; readonly fields: readonly ShapeField[] }
  | { readonly type: "Union"; readonly shapes: readonly Shape[] };

interface ShapeField {
  readonly fieldName: string;
  readonly optional: boolean;
  readonly shape: Shape;
}

const GIVEN = new Set(["_id", "_creationTime"]);

/** A cell that declares the table; where there is a schema already, the table's lines for it. */
export function schemaCode(table: Table, shape: Shape | undefined, hasSchema: boolean): string {
  const type = table.documentType ?? validatorOf(shape ?? { type: "Never" });
  const fields = Object.entries(fieldsOf(type)).filter(([name]) => !GIVEN.has(name));
  const lines = fields.map(([name, field]) => `        ${textLiteral(name)}: ${fieldCode(field)},`);
  const body =
    type.type === "object" ? (lines.length > 0 ? `{\n${lines.join("\n")}\n    }` : "{}") : validatorCode(type);
  const indexes = table.indexes.map((index) => `\n    ${indexCode(index)}`).join("");
  const entry = `    ${textLiteral(table.name)}: define_table(${body})${indexes},`;
  if (hasSchema) return entry;
  const head = "%%convex schema\nfrom convexlab import define_schema, define_table, v\n";
  return `${head}\nschema = define_schema({\n${entry}\n})`;
}

function fieldCode({ fieldType, optional }: Field): string {
  return optional ? `v.optional(${validatorCode(fieldType)})` : validatorCode(fieldType);
}

export function validatorCode(validator: Validator): string {
  switch (validator.type) {
    case "bigint":
      return "v.int64()";
    case "literal":
      return `v.literal(${literal(jsonToConvex(validator.value))})`;
    case "id":
      return `v.id(${textLiteral(validator.tableName)})`;
    case "array":
      return `v.array(${validatorCode(validator.value)})`;
    case "record":
      return `v.record(${validatorCode(validator.keys)}, ${validatorCode(validator.values.fieldType)})`;
    case "union":
      return `v.union(${validator.value.map(validatorCode).join(", ")})`;
    case "object": {
      const fields = Object.entries(validator.value);
      return `v.object({${fields.map(([name, field]) => `${textLiteral(name)}: ${fieldCode(field)}`).join(", ")}})`;
    }
    default:
      return `v.${validator.type}()`;
  }
}

function indexCode({ kind, name, fields, state, dimensions }: Index): string {
  const list = `[${fields.map(textLiteral).join(", ")}]`;
  const [first = "", ...others] = fields.map(textLiteral);
  const filtered = others.length > 0 ? `, filter_fields=[${others.join(", ")}]` : "";
  const staged = state === "staged" ? ", staged=True" : "";
  switch (kind) {
    case "database":
      return `.index(${textLiteral(name)}, ${list}${staged})`;
    case "unique":
      return `.index(${textLiteral(name)}, ${list}, unique=True${staged})`;
    case "search":
      return `.search_index(${textLiteral(name)}, search_field=${first}${filtered}${staged})`;
    case "vector":
      return `.vector_index(${textLiteral(name)}, vector_field=${first}, dimensions=${dimensions}${filtered}${staged})`;
    default:
      return kind satisfies never;
  }
}

const PLAIN = {
  Never: "any",
  Null: "null",
  Boolean: "boolean",
  Int64: "bigint",
  Float64: "number",
  String: "string",
  Bytes: "bytes",
} as const;

/** The narrowest validator that what was seen passes. */
export function validatorOf(shape: Shape): Validator {
  switch (shape.type) {
    case "Id":
      return { type: "id", tableName: shape.tableName };
    case "Array":
      return { type: "array", value: validatorOf(shape.shape) };
    case "Record":
      return {
        type: "record",
        keys: { type: "string" },
        values: { fieldType: validatorOf(shape.valueShape.shape), optional: false },
      };
    case "Union":
      return { type: "union", value: shape.shapes.map(validatorOf) };
    case "Object": {
      const fields = shape.fields.map(({ fieldName, optional, shape: field }) => {
        return [fieldName, { fieldType: validatorOf(field), optional }] as const;
      });
      return { type: "object", value: Object.fromEntries(fields) };
    }
    default:
      return { type: PLAIN[shape.type] };
  }
}

/** The names of a table's fields, as SQL has them for columns. */
export function fieldNames(table: Table, shape: Shape | undefined): string[] {
  const declared = table.documentType ? Object.keys(fieldsOf(table.documentType)) : [];
  const seen = shape?.type === "Object" ? shape.fields.map(({ fieldName }) => fieldName) : [];
  return [...new Set([...declared, ...seen, ...GIVEN])];
}
