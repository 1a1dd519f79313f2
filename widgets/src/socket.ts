/**
 * The direct way: the official client over a WebSocket to the page's own server.
 *
 * One client a page and address, shared by all its live views, also by those of
 * other bundles on the page; closed some seconds after the last view has gone, so
 * that a forgotten tab does not keep a deployment awake.
 */
import { ConvexClient } from "convex/browser";
import type { FunctionReference } from "convex/server";
import { ConvexError, type Value } from "convex/values";
import { patientSocket } from "./patience.ts";
import type { Follower, Link, QueryFailure, Source } from "./source.ts";
import type { LiveSpec } from "./spec.ts";

export interface Address {
  /** `<origin><base_url>convex` */
  readonly url: string;
  /** Jupyter's token where it cannot come as a cookie. */
  readonly token: string | null;
}

interface Shared {
  readonly client: ConvexClient;
  users: number;
}

const LINGER_MS = 5_000;
const REGISTRY = Symbol.for("convexlab.clients.v1");

export class SocketSource implements Source {
  constructor(readonly address: Address) {}

  follow(spec: LiveSpec, follower: Follower, signal: AbortSignal): void {
    if (signal.aborted) return;
    const shared = join(this.address);
    const { client } = shared;
    const unlink = client.subscribeToConnectionState((state) => follower.link(linkOf(state)));
    follower.link(linkOf(client.connectionState()));
    const unfollow = client.onUpdate(
      reference(spec.path),
      spec.args,
      (value: Value) => follower.value(value),
      (error) => follower.failed(failureOf(error)),
    );
    signal.addEventListener("abort", () => {
      unlink();
      unfollow();
      leave(this.address, shared);
    });
  }
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
  const message = error.message
    .replace(/^\[CONVEX [A-Z]+\([^)]*\)\] /, "")
    .replace(/^\[Request ID: [0-9a-f]+\] Server Error\n/, "")
    .replace(/\n\s*Called by client\s*$/, "");
  return { message, data: error instanceof ConvexError ? (error.data as Value) : undefined };
}

function join(address: Address): Shared {
  const clients = registry();
  let shared = clients.get(address.url);
  if (!shared) {
    shared = { client: connect(address), users: 0 };
    clients.set(address.url, shared);
  }
  shared.users += 1;
  return shared;
}

function leave(address: Address, shared: Shared): void {
  shared.users -= 1;
  setTimeout(() => {
    if (shared.users > 0 || registry().get(address.url) !== shared) return;
    registry().delete(address.url);
    void shared.client.close();
  }, LINGER_MS);
}

function connect(address: Address): ConvexClient {
  return new ConvexClient(address.url, {
    webSocketConstructor: patientSocket(address.token),
    skipConvexDeploymentUrlCheck: true,
    unsavedChangesWarning: false,
    logger: false,
  });
}

/** On the page, not in the module: every anywidget evaluates the module anew. */
function registry(): Map<string, Shared> {
  const page = globalThis as unknown as { [REGISTRY]?: Map<string, Shared> };
  page[REGISTRY] ??= new Map();
  return page[REGISTRY];
}
