/**
 * Code: the cell that gives what one sees.
 *
 * Python as people write it, over the variable `db`; values as literals that read back
 * as the same values.
 */
import { type JSONValue, jsonToConvex, type Value } from "convex/values";
import { fieldsOf } from "../../src/inputs.ts";
import { SQL_ROWS } from "../../src/owner.ts";
import { type Answered, type Args, isObject, type LiveSpec, type ViewSpec } from "../../src/spec.ts";
import type { Function } from "./deployment.ts";

const IDENTIFIER = /^[\p{L}_][\p{L}\p{N}_]*$/u;
const KEYWORDS = new Set(
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield".split(
    " ",
  ),
);

/** A value as a Python literal. */
export function literal(value: Value): string {
  if (value === null) return "None";
  if (value instanceof ArrayBuffer) return bytesLiteral(value);
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (isObject(value)) {
    const items = Object.entries(value).map(([name, each]) => `${textLiteral(name)}: ${literal(each)}`);
    return `{${items.join(", ")}}`;
  }
  switch (typeof value) {
    case "boolean":
      return value ? "True" : "False";
    case "bigint":
      return `Int64(${value})`;
    case "number":
      return numberLiteral(value);
    default:
      return textLiteral(String(value));
  }
}

function numberLiteral(value: number): string {
  if (!Number.isFinite(value)) {
    return `float("${Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf"}")`;
  }
  return Object.is(value, -0) ? "-0.0" : String(value);
}

/** JSON's escapes are Python's, as long as the text is Unicode. */
export function textLiteral(text: string): string {
  return JSON.stringify(text);
}

function bytesLiteral(bytes: ArrayBuffer): string {
  const hex = [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0"));
  return `bytes.fromhex("${hex.join("")}")`;
}

/** `, a=1, b=2`; what cannot be a name goes as `**{…}`. */
function keywords(args: Args): string {
  const names = Object.keys(args);
  if (names.length === 0) return "";
  if (names.every((name) => IDENTIFIER.test(name) && !KEYWORDS.has(name))) {
    return names.map((name) => `, ${name}=${literal(args[name] as Value)}`).join("");
  }
  return `, **${literal(args)}`;
}

/** What an Int64 needs to be one. */
function withImports(code: string): string {
  return /\bInt64\(/.test(code) ? `from convexlab import Int64\n\n${code}` : code;
}

export function tableCode(table: string): string {
  return `db.table(${textLiteral(table)})`;
}

export function sqlCode(sql: string, params: Value = []): string {
  return withImports(`db.${callOfSql(sql, params)}.watch()`);
}

function callOfSql(sql: string, params: Value): string {
  const isEmpty = Array.isArray(params) ? params.length === 0 : params === null;
  const given = isEmpty ? "" : `, params=${literal(params)}`;
  return `sql(${linesLiteral(sql.trim())}${given})`;
}

/** The rows of a statement: as of their moment, or as they are. */
function answerCode({ sql, params, ts }: Answered): string {
  const call = callOfSql(sql, jsonToConvex(params));
  return ts === null ? `db.${call}.watch()` : `db.at(${ts}).${call}`;
}

/** Of several lines: as one reads them. */
function linesLiteral(text: string): string {
  if (!text.includes("\n")) return textLiteral(text);
  const escaped = text.replaceAll("\\", "\\\\").replaceAll('"""', '\\"\\"\\"');
  return `"""\n${escaped}\n"""`;
}

const CALLS = { query: "watch", mutation: "mutation", action: "action", http_action: "" };

/** A call with some arguments; without, with all that it must be given, to be filled in. */
export function callCode(told: Function, args: Args | null = null): string {
  const { module, name, kind } = told;
  const needed = Object.entries(fieldsOf(told.args)).filter(([, { optional }]) => !optional);
  const given = args ? keywords(args) : needed.map(([argument]) => `, ${argument}=...`).join("");
  return withImports(`db.${CALLS[kind]}(${textLiteral(`${module}:${name}`)}${given})`);
}

/** What `%convex logs` takes, of what the sidebar's log is asked for. */
export function logsCode(asked: Readonly<Record<string, string>>): string {
  // Runs that printed nothing and did not fail stand in the sidebar, too.
  const all = asked.failed ? [] : ["--success"];
  const words = Object.entries(asked).map(([name, value]) => {
    if (name === "failed") return "--failed";
    return `--${name} ${/^[\w:/.-]+$/.test(value) ? value : quotedWord(value)}`;
  });
  return ["%convex logs", ...all, ...words].join(" ");
}

function quotedWord(text: string): string {
  return `'${text.replaceAll("'", `'"'"'`)}'`;
}

/** A live output's own call. */
export function liveCode({ path, args, view, back }: LiveSpec): string {
  const slider = back === null ? "" : `.history(${back})`;
  if (view.kind === "stored") {
    return view.of ? withImports(`${answerCode(view.of)}${slider}`) : tableCode(view.table);
  }
  const base =
    path === SQL_ROWS
      ? sqlCode(String(args.sql), args.params ?? [])
      : `db.watch(${textLiteral(path)}${keywords(args)})`;
  return withImports(`${base}${viewCode(view)}${slider}`);
}

function viewCode(view: ViewSpec): string {
  switch (view.kind) {
    case "table": {
      const columns = view.columns && `columns=${literal([...view.columns])}`;
      const edit = view.edit && `edit=${textLiteral(view.edit.path)}`;
      return `.table(${[columns, edit].filter(Boolean).join(", ")})`;
    }
    case "chart":
      return `.chart(${literal(jsonToConvex(view.chart as JSONValue))})`;
    case "metric": {
      const field = view.field && textLiteral(view.field);
      const label = view.label && `label=${textLiteral(view.label)}`;
      return `.metric(${[field, label].filter(Boolean).join(", ")})`;
    }
    case "log":
      return `.log(${view.field ? textLiteral(view.field) : ""})`;
    case "card":
    case "tree":
      return `.${view.kind}()`;
    case "auto":
    case "stored":
      return "";
    default:
      return view satisfies never;
  }
}
