/**
 * What only the deployment's owner may ask, over the page's own Jupyter server.
 *
 * Whoever is logged in to Jupyter owns the deployment beside it, and Jupyter gives
 * them a key to it for an hour (cookie and XSRF, or token). The key is kept in this
 * page's memory: never in an output, never in a widget's state. N.B. outputs reach it
 * through the few fixed questions below only, whatever they say.
 */
import { type JSONValue, jsonToConvex } from "convex/values";
import type { Address } from "./socket.ts";
import { CallError, isPassing } from "./source.ts";
import { type Answered, type Changed, isRecord } from "./spec.ts";
import type { Parameter } from "./table/filters.ts";
import type { Row } from "./table/rows.ts";

/** The rows of a SELECT, for as long as one follows them. */
export const SQL_ROWS = "_system/sql/rows:default";

/** A value that is another one whenever the rows of a SELECT are. */
const SQL_VERSION = "_system/sql/version:default";

/** One document of any table, by its id. */
export const DOCUMENT = "_system/frontend/getDocument:default";

/** The system's queries that views follow. */
export const OWNERS_QUERIES: ReadonlySet<string> = new Set([
  DOCUMENT,
  "_system/cli/tableData:default",
  "_system/cli/queryTable:default",
  SQL_ROWS,
  SQL_VERSION,
]);

const AGAIN_MS = 1_000;

/** A user whom the owner acts as, as functions are told of one (`ctx.auth`). */
export type Identity = Readonly<Record<string, JSONValue>>;

/** A key of the owner's, and when (in ms since 1970) it is time for another. */
export interface Session {
  readonly key: string;
  readonly renewAt: number;
}

const sessions = new Map<string, Promise<Session>>();

/** The page's session: asked for once, again when half of its time is over, and after a failure. */
export async function sessionOf(address: Address): Promise<Session> {
  const known = sessions.get(address.url);
  if (known && (await known).renewAt > Date.now()) return known;
  // Of several who find it old, the first asks.
  if (known === sessions.get(address.url)) {
    const session = askForSession(address);
    sessions.set(address.url, session);
    session.catch(() => sessions.delete(address.url));
  }
  return sessions.get(address.url) ?? sessionOf(address);
}

/** Until there is an answer: a deployment that starts behind the page takes its time. */
async function askForSession(address: Address): Promise<Session> {
  for (;;) {
    try {
      return sessionFrom(await (await send(address, "session", "{}", {})).json(), Date.now());
    } catch (error) {
      if (!isPassing(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

export function sessionFrom(said: unknown, now: number): Session {
  if (isRecord(said) && typeof said.adminKey === "string" && typeof said.seconds === "number") {
    return { key: said.adminKey, renewAt: now + said.seconds * 500 };
  }
  throw new CallError("Jupyter does not say the deployment's key.");
}

/** A moment as the deployment counts time, to the microsecond. */
export function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1_000)) * 1_000n;
}

export async function selectRows(
  address: Address,
  sql: string,
  params: readonly Parameter[],
  moment: number | null,
  until?: AbortSignal,
  of: Answered | Changed | null = null,
): Promise<Row[]> {
  const now = of && "sql" in of && of.ts ? of.ts : undefined;
  const ts = moment === null ? now : String(nanoseconds(moment));
  const rows = !of ? { documents: true } : "sql" in of ? { of } : { changes: of };
  const body = JSON.stringify({ sql, params, format: "json", ts, ...rows });
  const path = "api/convexlab/sql";
  const answer = await sendAsOwner(address, path, body, undefined, null, until);
  return rowsFrom((await answer.json()) as JSONValue[]);
}

/**
 * Whole documents as they are; else the columns' values. A column without a value is
 * NULL in SQL: here, the field is missing.
 */
export function rowsFrom(said: readonly JSONValue[]): Row[] {
  return said.map((item) => {
    const { _doc } = item as Record<string, JSONValue>;
    if (_doc) return jsonToConvex(_doc) as Row;
    const there = Object.entries(item as Record<string, JSONValue>).filter(([, v]) => v !== null);
    return jsonToConvex(Object.fromEntries(there) as JSONValue) as Row;
  });
}

export async function storeFile(address: Address, file: File): Promise<string> {
  const type = file.type || "application/octet-stream";
  const answer = await sendAsOwner(address, "api/convexlab/upload", file, type);
  return ((await answer.json()) as { storageId: string }).storageId;
}

export async function sendAsOwner(
  address: Address,
  path: string,
  body: BodyInit,
  type = "application/json",
  actingAs: Identity | null = null,
  until: AbortSignal | null = null,
): Promise<Response> {
  const { key } = await sessionOf(address);
  const as = actingAs ? `:${base64(JSON.stringify(actingAs))}` : "";
  const headers = { Authorization: `Convex ${key}${as}`, "Content-Type": type };
  return send(address, path, body, headers, until);
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** What the owner is told at a path, as JSON. */
export async function askAsOwner(
  address: Address,
  path: string,
  asked: Record<string, string> = {},
  signal: AbortSignal | null = null,
): Promise<unknown> {
  const { key } = await sessionOf(address);
  const query = new URLSearchParams(address.token ? { ...asked, token: address.token } : asked);
  const answer = await fetch(`${address.url}/${path}?${query}`, {
    headers: { Authorization: `Convex ${key}`, "X-XSRFToken": xsrf(document.cookie) },
    signal,
  });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/** A POST to the page's own server, with what Jupyter wants to see. */
export async function send(
  address: Address,
  path: string,
  body: BodyInit,
  headers: Record<string, string> = {},
  signal: AbortSignal | null = null,
): Promise<Response> {
  const begin = path.includes("?") ? "&" : "?";
  const token = address.token ? `${begin}token=${encodeURIComponent(address.token)}` : "";
  const answer = await fetch(`${address.url}/${path}${token}`, {
    method: "POST",
    body,
    signal,
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
