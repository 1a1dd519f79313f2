/**
 * What only the deployment's owner may ask, over the page's own Jupyter server.
 *
 * Whoever is logged in to Jupyter owns the deployment beside it, and Jupyter says
 * its key to them (cookie and XSRF, or token). The key is kept in this page's
 * memory: never in an output, never in a widget's state. N.B. outputs reach it
 * through the few fixed questions below only, whatever they say.
 */
import { type JSONValue, jsonToConvex } from "convex/values";
import type { Address } from "./socket.ts";
import { CallError, isPassing } from "./source.ts";
import { isRecord } from "./spec.ts";
import type { Parameter } from "./table/filters.ts";
import type { Row } from "./table/rows.ts";

/** The system's queries that views follow. */
export const OWNERS_QUERIES: ReadonlySet<string> = new Set([
  "_system/cli/tableData:default",
  "_system/cli/queryTable:default",
]);

const AGAIN_MS = 1_000;

const keys = new Map<string, Promise<string>>();

/** The deployment's key; asked for once a page, and again after a failure. */
export function keyOf(address: Address): Promise<string> {
  let key = keys.get(address.url);
  if (!key) {
    key = askForKey(address);
    keys.set(address.url, key);
    key.catch(() => keys.delete(address.url));
  }
  return key;
}

/** Until there is an answer: a deployment that starts behind the page takes its time. */
async function askForKey(address: Address): Promise<string> {
  for (;;) {
    try {
      return await keyFrom(await send(address, "session", "{}", {}));
    } catch (error) {
      if (!isPassing(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

async function keyFrom(answer: Response): Promise<string> {
  const said: unknown = await answer.json();
  if (isRecord(said) && typeof said.adminKey === "string") return said.adminKey;
  throw new CallError("Jupyter does not say the deployment's key.");
}

export async function selectRows(
  address: Address,
  sql: string,
  params: readonly Parameter[],
): Promise<Row[]> {
  const answer = await sendAsOwner(
    address,
    "api/convexlab/sql",
    JSON.stringify({ sql, params, format: "json" }),
  );
  return rowsFrom((await answer.json()) as JSONValue[]);
}

/** A column without a value is NULL in SQL: here, the field is missing. */
export function rowsFrom(said: readonly JSONValue[]): Row[] {
  return said.map((item) => {
    const there = Object.entries(item as Record<string, JSONValue>).filter(([, v]) => v !== null);
    return jsonToConvex(Object.fromEntries(there) as JSONValue) as Row;
  });
}

export async function storeFile(address: Address, file: File): Promise<string> {
  const type = file.type || "application/octet-stream";
  const answer = await sendAsOwner(address, "api/convexlab/upload", file, type);
  return ((await answer.json()) as { storageId: string }).storageId;
}

async function sendAsOwner(
  address: Address,
  path: string,
  body: BodyInit,
  type = "application/json",
): Promise<Response> {
  const key = await keyOf(address);
  return send(address, path, body, { Authorization: `Convex ${key}`, "Content-Type": type });
}

/** A POST to the page's own server, with what Jupyter wants to see. */
export async function send(
  address: Address,
  path: string,
  body: BodyInit,
  headers: Record<string, string>,
): Promise<Response> {
  const token = address.token ? `?token=${encodeURIComponent(address.token)}` : "";
  const answer = await fetch(`${address.url}/${path}${token}`, {
    method: "POST",
    body,
    headers: {
      "Content-Type": "application/json",
      "X-XSRFToken": xsrf(document.cookie),
      ...headers,
    },
  });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export function xsrf(cookies: string): string {
  return /(?:^|; *)_xsrf=([^;]*)/.exec(cookies)?.[1] ?? "";
}

async function refusal(answer: Response): Promise<CallError> {
  const said: unknown = await answer.json().catch(() => null);
  if (!isRecord(said)) {
    const message = `The deployment answers ${answer.status}.`;
    return new CallError(message, undefined, `Http${answer.status}`);
  }
  return new CallError(
    String(said.message ?? answer.statusText),
    undefined,
    String(said.code ?? ""),
  );
}
