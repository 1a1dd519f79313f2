/**
 * The direct way: the official client over a WebSocket to the page's own server.
 *
 * One client a page, address and role (its user, the owner), shared by all its live views, also by those of
 * other bundles on the page; closed some seconds after the last view has gone, so
 * that a forgotten tab does not keep a deployment awake.
 */
import type { ConnectionState, OptimisticUpdate } from "convex/browser";
import type { FunctionReference } from "convex/server";
import { ConvexError, convexToJson, type JSONValue, jsonToConvex, type Value } from "convex/values";
import { Client } from "./client.ts";
import {
  type Identity,
  nanoseconds,
  OWNERS_QUERIES,
  selectRows,
  send,
  sendAsOwner,
  sessionOf,
  storeFile,
} from "./owner.ts";
import { loadPart, type Part } from "./parts.ts";
import { patientSocket } from "./patience.ts";
import {
  CallError,
  type Follower,
  type Foreseen,
  type Kind,
  type Link,
  type Query,
  type QueryFailure,
  type Source,
} from "./source.ts";
import type { Answered, Args, Changed } from "./spec.ts";
import type { Parameter } from "./table/filters.ts";
import type { Story } from "./why.ts";

export interface Address {
  /** `<origin><base_url>convex` */
  readonly url: string;
  /** Jupyter's token where it cannot come as a cookie. */
  readonly token: string | null;
}

interface Shared {
  readonly name: string;
  readonly client: Client;
  /** When it may be asked: at once, or when it has the owner's key. */
  ready: Promise<void>;
  users: number;
}

const LINGER_MS = 5_000;
/** Longer than a deployment that died takes to be there again. */
const AWAY_MS = 4_000;
const REGISTRY = Symbol.for("convexlab.clients.v3");

export class SocketSource implements Source {
  readonly followsAny = true;

  readonly #asOwner: (path: string) => boolean;
  readonly #actingAs: Identity | null;

  /** What is asked in the owner's name is for whoever makes it to say; N.B. never for an output. */
  constructor(
    readonly address: Address,
    asOwner: (path: string) => boolean = isOwners,
    actingAs: Identity | null = null,
  ) {
    this.#asOwner = asOwner;
    this.#actingAs = actingAs;
  }

  follow(query: Query, follower: Follower, signal: AbortSignal): void {
    if (signal.aborted) return;
    const shared = this.#join(query.path);
    const { client } = shared;
    const away = new Away(this.address, follower, signal);
    const linked = (state: ConnectionState) => {
      follower.link(linkOf(state));
      away.link(linkOf(state));
    };
    const unlink = client.subscribeToConnectionState(linked);
    linked(client.connectionState());
    let unfollow = () => {};
    const start = () => {
      if (signal.aborted) return;
      unfollow = client.follow(
        query.path,
        query.args,
        (value) => {
          away.last = value;
          follower.value(value);
        },
        (error) => follower.failed(failureOf(error)),
      );
    };
    shared.ready.then(start, (error: Error) => follower.failed(failureOf(error)));
    signal.addEventListener("abort", () => {
      unlink();
      unfollow();
      leave(shared);
    });
  }

  async call(kind: Kind, path: string, args: Args, foreseen?: Foreseen): Promise<Value> {
    const shared = this.#join(path);
    try {
      await shared.ready;
      if (kind === "query") return await shared.client.query(path, args);
      if (kind === "action") return await shared.client.action(path, args);
      return await shared.client.mutation(path, args, foreseen && optimism(foreseen));
    } catch (error) {
      const { message, data } = failureOf(error as Error);
      throw new CallError(message, data);
    } finally {
      leave(shared);
    }
  }

  async at({ path, args }: Query, moment: number): Promise<Value> {
    const body = { path, args: convexToJson(args), format: "json", ts: tsOf(moment) };
    const answer = await this.#send(path, "api/query_at_ts", JSON.stringify(body));
    const said = (await answer.json()) as {
      status: string;
      value: JSONValue;
      errorMessage: string;
    };
    if (said.status !== "success") throw new CallError(unwrapped(said.errorMessage));
    return jsonToConvex(said.value);
  }

  rows(
    sql: string,
    params: readonly Parameter[],
    moment: number | null = null,
    until?: AbortSignal,
    of: Answered | Changed | null = null,
  ) {
    return selectRows(this.address, sql, params, moment, until, of);
  }

  upload(file: File) {
    return storeFile(this.address, file);
  }

  part<P extends Part>(part: P) {
    return loadPart(part, null);
  }

  async why({ path, args }: Query): Promise<Story | null> {
    const body = JSON.stringify({ path, args: convexToJson(args) });
    return (await sendAsOwner(this.address, "api/convexlab/why", body)).json();
  }

  #join(path: string): Shared {
    return join(this.address, this.#asOwner(path) ? { actingAs: this.#actingAs } : null);
  }

  #send(path: string, at: string, body: string): Promise<Response> {
    if (!this.#asOwner(path)) return send(this.address, at, body);
    return sendAsOwner(this.address, at, body, undefined, this.#actingAs);
  }
}

/** While the deployment does not answer: why it does not, as Jupyter tells who asks for its key. */
class Away {
  last: Value | undefined;
  readonly #address: Address;
  readonly #follower: Follower;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAway = false;
  #told = "";

  constructor(address: Address, follower: Follower, signal: AbortSignal) {
    this.#address = address;
    this.#follower = follower;
    signal.addEventListener("abort", () => {
      this.#isAway = false;
      clearTimeout(this.#timer);
    });
  }

  link(link: Link): void {
    if (this.#isAway === (link !== "live")) return;
    this.#isAway = !this.#isAway;
    clearTimeout(this.#timer);
    if (this.#isAway) this.#timer = setTimeout(() => void this.#ask(), AWAY_MS);
    else if (this.#told && this.last !== undefined) this.#follower.value(this.last);
    this.#told = "";
  }

  async #ask(): Promise<void> {
    const said = await send(this.#address, "session", "{}").catch((error: Error) => error);
    if (!this.#isAway) return;
    if (said instanceof CallError && said.message !== this.#told) {
      this.#told = said.message;
      const { message } = said;
      this.#follower.failed({ title: "The deployment does not answer", message, data: undefined });
    }
    this.#timer = setTimeout(() => void this.#ask(), AWAY_MS);
  }
}

function isOwners(path: string): boolean {
  if (!path.startsWith("_system/")) return false;
  if (!OWNERS_QUERIES.has(path)) throw new CallError(`${path} is not for live views.`);
  return true;
}

/** A moment as the protocol writes timestamps: nanoseconds, 8 bytes from the lowest, in base64. */
export function tsOf(milliseconds: number): string {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, nanoseconds(milliseconds), true);
  return btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)));
}

function optimism({ path, args, change }: Foreseen): OptimisticUpdate<Args> {
  return (store) => {
    const now = store.getQuery(reference(path), args) as Value | undefined;
    if (now !== undefined) store.setQuery(reference(path), args, change(now));
  };
}

/** The client takes a function's path wherever it takes a reference; its types do not say so. */
function reference(path: string): FunctionReference<"query"> {
  return path as unknown as FunctionReference<"query">;
}

function linkOf(state: { isWebSocketConnected: boolean; hasEverConnected: boolean }): Link {
  if (state.isWebSocketConnected) return "live";
  return state.hasEverConnected ? "reconnecting" : "connecting";
}

/** The function's own error, without what server and client wrap around it. */
export function failureOf(error: Error): QueryFailure {
  const data = error instanceof ConvexError ? (error.data as Value) : undefined;
  return { message: unwrapped(error.message), data };
}

function unwrapped(message: string): string {
  return (
    message
      .replace(/^\[CONVEX [A-Z]+\([^)]*\)\] /, "")
      .replace(/^\[Request ID: [0-9a-f]+\] Server Error\n/, "")
      .replace(/\n\s*Called by client\s*$/, "")
      // Where in the deployment's own code it was found is nobody's concern.
      .replace(/^Uncaught \w+: ([^]*?)\n {2}File "convex\/_system\/[^]*$/, "$1")
  );
}

/** The owner, as themselves or as a user. */
interface Owner {
  readonly actingAs: Identity | null;
}

function join(address: Address, owner: Owner | null): Shared {
  const clients = registry();
  const name = owner ? `${address.url} as owner ${JSON.stringify(owner.actingAs)}` : address.url;
  let shared = clients.get(name);
  if (!shared) {
    shared = connect(address, name, owner);
    clients.set(name, shared);
  }
  shared.users += 1;
  return shared;
}

function leave(shared: Shared): void {
  shared.users -= 1;
  setTimeout(() => {
    if (shared.users > 0 || registry().get(shared.name) !== shared) return;
    registry().delete(shared.name);
    shared.client.close();
  }, LINGER_MS);
}

function connect(address: Address, name: string, owner: Owner | null): Shared {
  const client = new Client(address.url, patientSocket(address.token));
  const shared: Shared = { name, client, users: 0, ready: Promise.resolve() };
  if (owner) {
    shared.ready = showKey(address, shared, owner);
    // A page that could not have the key asks again with the next view.
    shared.ready.catch(() => registry().delete(name));
  }
  return shared;
}

/** Shows the owner's key, and the next one before it ends, for as long as the connection is used. */
async function showKey(address: Address, shared: Shared, owner: Owner): Promise<void> {
  const { key, renewAt } = await sessionOf(address);
  shared.client.setAdminAuth(key, owner.actingAs ?? undefined);
  setTimeout(() => {
    // Who is not logged in any more has what the last key allows, until that ends.
    if (registry().get(shared.name) === shared) showKey(address, shared, owner).catch(() => {});
  }, renewAt - Date.now());
}

/** On the page, not in the module: every anywidget evaluates the module anew. */
function registry(): Map<string, Shared> {
  const page = globalThis as unknown as { [REGISTRY]?: Map<string, Shared> };
  page[REGISTRY] ??= new Map();
  return page[REGISTRY];
}
