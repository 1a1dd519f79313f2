/**
 * One connection to a deployment: what views use of the official client.
 *
 * It stands on the part of that client that speaks the protocol; its other half
 * (pages, hooks) is not needed here and would travel with every widget.
 */
import { BaseConvexClient, type ConnectionState, type OptimisticUpdate } from "convex/browser";
import type { Value } from "convex/values";
import type { Identity } from "./owner.ts";
import type { Args } from "./spec.ts";

/** After a loss the first attempt is made so soon, give or take a half. */
const SOON_MS = 150;

interface Listener {
  readonly token: string;
  /** Tells what there is by now, if there is anything. */
  hear(): void;
}

export class Client {
  readonly #base: BaseConvexClient;
  readonly #listeners = new Set<Listener>();

  constructor(url: string, webSocketConstructor: typeof WebSocket) {
    this.#base = new BaseConvexClient(url, (tokens) => this.#changed(tokens), {
      webSocketConstructor,
      skipConvexDeploymentUrlCheck: true,
      unsavedChangesWarning: false,
      logger: false,
    });
    this.#base.subscribeToConnectionState((state) => this.#returnSoon(state));
  }

  /** Tells each new result until the function that it returns is called. */
  follow(
    path: string,
    args: Args,
    value: (value: Value) => void,
    failed: (error: Error) => void,
  ): () => void {
    const { queryToken: token, unsubscribe } = this.#base.subscribe(path, args);
    let heard = false;
    const hear = () => {
      let found: Value | undefined;
      try {
        found = this.#base.localQueryResult(path, args);
      } catch (error) {
        heard = true;
        failed(error as Error);
        return;
      }
      if (found === undefined) return;
      heard = true;
      value(found);
    };
    const listener = { token, hear };
    this.#listeners.add(listener);
    // Where another view follows the same query its result is here, and no news comes.
    setTimeout(() => heard || !this.#listeners.has(listener) || hear());
    return () => {
      if (this.#listeners.delete(listener)) unsubscribe();
    };
  }

  query(path: string, args: Args): Promise<Value> {
    return new Promise((resolve, reject) => {
      const end = this.follow(
        path,
        args,
        (value) => {
          end();
          resolve(value);
        },
        (error) => {
          end();
          reject(error);
        },
      );
    });
  }

  mutation(path: string, args: Args, foreseen?: OptimisticUpdate<Args>): Promise<Value> {
    return this.#base.mutation(path, args, foreseen ? { optimisticUpdate: foreseen } : {});
  }

  action(path: string, args: Args): Promise<Value> {
    return this.#base.action(path, args);
  }

  connectionState(): ConnectionState {
    return this.#base.connectionState();
  }

  subscribeToConnectionState(told: (state: ConnectionState) => void): () => void {
    return this.#base.subscribeToConnectionState(told);
  }

  /** The official client keeps this for its dashboard: its types do not show it. */
  setAdminAuth(key: string, actingAs?: Identity): void {
    const base = this.#base as unknown as { setAdminAuth(key: string, as?: Identity): void };
    base.setAdminAuth(key, actingAs);
  }

  close(): void {
    this.#listeners.clear();
    void this.#base.close();
  }

  /**
   * The official client waits for about a second before its first attempt, and only who
   * comes tells the page's own server that a deployment has ended and is to be started.
   * N.B. its types do not show what the browser's own news of a network calls, either.
   */
  #returnSoon({ isWebSocketConnected, connectionRetries }: ConnectionState): void {
    if (isWebSocketConnected || connectionRetries !== 1) return;
    const base = this.#base as unknown as {
      readonly webSocketManager: { tryReconnectImmediately(): void };
    };
    setTimeout(
      () => base.webSocketManager.tryReconnectImmediately(),
      SOON_MS * (0.5 + Math.random()),
    );
  }

  #changed(tokens: readonly string[]): void {
    const news = new Set(tokens);
    for (const listener of [...this.#listeners]) {
      if (news.has(listener.token) && this.#listeners.has(listener)) listener.hear();
    }
  }
}
