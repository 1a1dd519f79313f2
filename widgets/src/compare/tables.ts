/**
 * Two moments of a whole table: the deployment says what has changed, the newest first,
 * and how much that is. The page draws as much of it as somebody reads.
 */
import { type JSONValue, jsonToConvex, type Value } from "convex/values";
import { nanoseconds } from "../owner.ts";
import type { Source } from "../source.ts";
import type { Counts, TableChanges } from "./contract.ts";

const MOST = 1_000;
const COUNTS = "SELECT change, count(*) AS n FROM rows GROUP BY 1";
const NEWEST = `SELECT before, after FROM rows LIMIT ${MOST}`;

export async function tableChanges(
  source: Source,
  table: string,
  from: number,
  to: number | null,
): Promise<TableChanges> {
  const of = { table, since: String(nanoseconds(from)) };
  const [counted, newest] = await Promise.all(
    [COUNTS, NEWEST].map((sql) => source.rows(sql, [], to, undefined, of)),
  );
  const counts = { added: 0, removed: 0, changed: 0 };
  for (const row of counted ?? []) counts[row.change as keyof Counts] = Number(row.n);
  const documents = (when: "before" | "after") =>
    (newest ?? []).flatMap((row) => documentOf(row[when]));
  return [documents("before"), documents("after"), counts];
}

function documentOf(text: Value | undefined): Value[] {
  return typeof text === "string" ? [jsonToConvex(JSON.parse(text) as JSONValue)] : [];
}
