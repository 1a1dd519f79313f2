/**
 * What a stored table asks in SQL: how many, which ones, and what is in a column.
 *
 * Of a table, or of the rows of another statement, which the deployment keeps as the table
 * `rows` with the place of each.
 */
import type { Column } from "./columns.ts";
import { type Parameter, quoted, type Request, whereOf } from "./filters.ts";
import type { Sorting } from "./rows.ts";

export interface Statement {
  readonly sql: string;
  readonly params: readonly Parameter[];
}

export interface Stored {
  readonly table: string;
  /** Whether it is the rows of a statement. */
  readonly isAnswer: boolean;
  readonly request: Request;
  readonly sorting: Sorting | null;
  readonly columns: readonly Column[];
}

export function countOf(stored: Stored): Statement {
  const where = whereOf(stored.request, stored.columns);
  return {
    sql: `SELECT count(*) AS n FROM ${quoted(stored.table)} ${where.sql}`,
    params: where.params,
  };
}

/**
 * Documents, which tell null from missing as columns do not.
 *
 * Newest first, or by one column; documents that are equal in it in the order of their creation.
 * A statement's rows: in its order, which also puts those in order that are equal in a column.
 */
export function rowsFromTo(stored: Stored, from: number, most: number): Statement {
  const where = whereOf(stored.request, stored.columns);
  const fields = stored.isAnswer ? "* EXCLUDE (_place)" : "_doc";
  return {
    sql: `SELECT ${fields} FROM ${quoted(stored.table)} ${where.sql} ${orderOf(stored)} LIMIT ${most} OFFSET ${from}`,
    params: where.params,
  };
}

/** The same rows as people would ask for them: the first of them, by the columns in sight. */
export function selectionOf(stored: Stored, columns: readonly Column[], most: number): Statement {
  const where = whereOf(stored.request, stored.columns);
  const all = columns.length === stored.columns.length;
  const names = all ? "*" : columns.map(({ name }) => quoted(name)).join(", ");
  const lines = [
    `SELECT ${names} FROM ${quoted(stored.table)}`,
    where.sql,
    orderOf(stored),
    `LIMIT ${most}`,
  ];
  return { sql: lines.filter((line) => line !== "").join("\n"), params: where.params };
}

/** A statement's rows come in its own order by themselves. */
function orderOf({ sorting, isAnswer }: Stored): string {
  const own = isAnswer ? "_place" : `"_creationTime" DESC, _id DESC`;
  if (!sorting) return isAnswer ? "" : `ORDER BY ${own}`;
  const direction = sorting.direction === "asc" ? "ASC NULLS FIRST" : "DESC NULLS LAST";
  return `ORDER BY ${quoted(sorting.column)} ${direction}, ${own}`;
}

/** What is in each of these columns. */
export function profileOf(stored: Stored, columns: readonly Column[]): Statement {
  const where = whereOf(stored.request, stored.columns);
  const names = columns.map(({ name }) => quoted(name)).join(", ");
  return {
    sql: `SUMMARIZE SELECT ${names} FROM ${quoted(stored.table)} ${where.sql}`,
    params: where.params,
  };
}
