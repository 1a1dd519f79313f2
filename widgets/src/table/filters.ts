/**
 * What is asked of the rows: tests on columns, and a text to be found anywhere.
 *
 * The same request in two forms: a predicate for rows that are here, a WHERE for
 * rows that are in the deployment. Both leave out what has no value, save where
 * that is what is asked for.
 */
import { compareValues } from "convex/values";
import { type Cell, full, kindOf } from "../value.ts";
import type { Column } from "./columns.ts";
import type { Row } from "./rows.ts";

export const OPERATORS = [
  "contains",
  "is",
  "is not",
  "<",
  "≤",
  ">",
  "≥",
  "is missing",
  "is there",
] as const;
export type Operator = (typeof OPERATORS)[number];

export interface Filter {
  readonly column: string;
  readonly operator: Operator;
  readonly text: string;
}

export interface Request {
  readonly filters: readonly Filter[];
  /** Whether one of the filters suffices; else all must hold. */
  readonly any?: boolean;
  readonly search: string;
}

export const EVERYTHING: Request = { filters: [], search: "" };

export function needsText(operator: Operator): boolean {
  return operator !== "is missing" && operator !== "is there";
}

/** The filter as one reads it: `dep_delay > 60`. */
export function filterText({ column, operator, text }: Filter): string {
  return needsText(operator) ? `${column} ${operator} ${text}` : `${column} ${operator}`;
}

/** Null where every row passes. */
export function predicateOf(request: Request): ((row: Row) => boolean) | null {
  const sought = request.search.trim().toLowerCase();
  if (sought === "" && request.filters.length === 0) return null;
  const { filters, any } = request;
  const holds = (row: Row) => {
    const judge = (filter: Filter) => passes(row[filter.column], filter);
    return any && filters.length > 0 ? filters.some(judge) : filters.every(judge);
  };
  return (row) =>
    holds(row) &&
    (sought === "" || Object.values(row).some((cell) => has(cell, sought)));
}

function has(cell: Cell, sought: string): boolean {
  return full(cell).toLowerCase().includes(sought);
}

function passes(cell: Cell, { column, operator, text }: Filter): boolean {
  const empty = cell === undefined || cell === null;
  if (operator === "is missing") return empty;
  if (operator === "is there") return !empty;
  if (empty) return false;
  if (operator === "contains") return has(cell, text.toLowerCase());
  const other = likeCell(cell, column, text);
  if (operator === "is" || operator === "is not") {
    const same = other !== undefined && compareValues(cell, other) === 0;
    return same === (operator === "is");
  }
  if (other === undefined) return false;
  return holds(compareValues(cell, other), operator);
}

function holds(order: number, operator: "<" | "≤" | ">" | "≥"): boolean {
  switch (operator) {
    case "<":
      return order < 0;
    case "≤":
      return order <= 0;
    case ">":
      return order > 0;
    case "≥":
      return order >= 0;
    default:
      return operator satisfies never;
  }
}

/** What was typed, as a value of the cell's kind; undefined if it cannot be one. */
function likeCell(cell: Cell, column: string, text: string): Cell {
  switch (kindOf(cell, column)) {
    case "time":
      return momentOf(text);
    case "number":
    case "score":
      return numberOf(text);
    case "int64":
      return /^[+-]?\d+$/.test(text.trim()) ? BigInt(text.trim()) : undefined;
    case "boolean":
      return booleanOf(text);
    case "string":
    case "id":
      return text;
    default:
      return undefined;
  }
}

function numberOf(text: string): number | undefined {
  const number = Number(text.trim());
  return text.trim() === "" || Number.isNaN(number) ? undefined : number;
}

/** Milliseconds: as they are, or as a day and a time of day of this machine's zone. */
function momentOf(text: string): number | undefined {
  const plain = numberOf(text);
  if (plain !== undefined && plain > 9_999) return plain;
  const day = text.trim();
  const moment = Date.parse(day.length === 10 ? `${day}T00:00` : day.replace(" ", "T"));
  return Number.isNaN(moment) ? plain : moment;
}

function booleanOf(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  return word === "true" ? true : word === "false" ? false : undefined;
}

// -- the same in SQL -----------------------------------------------------------

export type Parameter = string | number | boolean;

export interface Where {
  /** Empty where every row passes. */
  readonly sql: string;
  readonly params: readonly Parameter[];
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function whereOf(request: Request, columns: readonly Column[]): Where {
  const tests = request.any
    ? oneOf(request.filters.map((filter) => test(filter, columns)))
    : request.filters.map((filter) => test(filter, columns));
  const sought = request.search.trim();
  if (sought !== "" && columns.length > 0) tests.push(anywhere(sought, columns));
  return {
    sql: tests.length === 0 ? "" : `WHERE ${tests.map(({ sql }) => `(${sql})`).join(" AND ")}`,
    params: tests.flatMap(({ params }) => params),
  };
}

function oneOf(tests: readonly Where[]): Where[] {
  if (tests.length === 0) return [];
  const sql = tests.map((each) => `(${each.sql})`).join(" OR ");
  return [{ sql, params: tests.flatMap(({ params }) => params) }];
}

function anywhere(sought: string, columns: readonly Column[]): Where {
  const found = columns.map(({ name }) => containing(name));
  return { sql: found.join(" OR "), params: columns.map(() => sought) };
}

function containing(column: string): string {
  return `contains(lower(CAST(${quoted(column)} AS VARCHAR)), lower(?))`;
}

const COMPARISONS = { is: "=", "is not": "<>", "<": "<", "≤": "<=", ">": ">", "≥": ">=" } as const;

function test({ column, operator, text }: Filter, columns: readonly Column[]): Where {
  const name = quoted(column);
  if (operator === "is missing") return { sql: `${name} IS NULL`, params: [] };
  if (operator === "is there") return { sql: `${name} IS NOT NULL`, params: [] };
  if (operator === "contains") return { sql: containing(column), params: [text] };
  const type = columns.find((each) => each.name === column)?.type ?? "";
  const other = likeColumn(column, type, text);
  // N.B. what cannot be a value of the column's kind is less than nothing: no row passes.
  if (other === undefined) return { sql: String(operator === "is not"), params: [] };
  return { sql: `${name} ${COMPARISONS[operator]} ?`, params: [other] };
}

function likeColumn(column: string, type: string, text: string): Parameter | undefined {
  if (column === "_creationTime") return momentOf(text);
  if (/^\(?(number|int64)/.test(type)) return numberOf(text);
  if (/^\(?boolean/.test(type)) return booleanOf(text);
  return text;
}
