/** Rows as files: CSV as spreadsheets read it, JSON as Convex writes documents. */
import { convexToJson } from "convex/values";
import { type Cell, full, kindOf } from "../value.ts";
import type { Row } from "./rows.ts";

export type Format = "csv" | "json";

const KINDS: Record<Format, string> = { csv: "text/csv", json: "application/json" };

export function csvHead(columns: readonly string[]): string {
  return `${columns.map(field).join(",")}\r\n`;
}

export function csvLines(rows: readonly Row[], columns: readonly string[]): string {
  return rows
    .map((row) => `${columns.map((name) => field(text(row[name], name))).join(",")}\r\n`)
    .join("");
}

export function jsonItems(rows: readonly Row[]): string {
  return rows.map((row) => JSON.stringify(convexToJson(row))).join(",\n");
}

/** Rows come in parts, so that a table of any length needs no second copy of itself. */
export class FileOfRows {
  readonly #parts: string[] = [];

  constructor(
    readonly format: Format,
    readonly columns: readonly string[],
  ) {
    this.#parts.push(format === "csv" ? `\uFEFF${csvHead(columns)}` : "[\n");
  }

  add(rows: readonly Row[]): void {
    if (rows.length === 0) return;
    if (this.format === "csv") this.#parts.push(csvLines(rows, this.columns));
    else this.#parts.push(this.#parts.length > 1 ? ",\n" : "", jsonItems(rows));
  }

  save(name: string): void {
    if (this.format === "json") this.#parts.push("\n]\n");
    const address = URL.createObjectURL(new Blob(this.#parts, { type: KINDS[this.format] }));
    const link = document.createElement("a");
    link.href = address;
    link.download = `${name.replaceAll(/[^\w.-]+/g, "_")}.${this.format}`;
    link.click();
    URL.revokeObjectURL(address);
  }
}

/** Milliseconds since 1970 stay a number: what reads the file can tell. */
function text(cell: Cell, column: string): string {
  return kindOf(cell, column) === "time" ? String(cell) : full(cell);
}

function field(content: string): string {
  return /[",\r\n]/.test(content) ? `"${content.replaceAll('"', '""')}"` : content;
}
