/**
 * A WebSocket that keeps trying to open while the other end is away.
 *
 * The official client waits ever longer between its attempts, up to 24 seconds,
 * and cannot add Jupyter's token to the address. To that client this looks like
 * one socket that takes its time to open; inside, a new attempt is made about
 * every second, so that a server that comes back is found at once. Once open, it
 * is the plain socket: when it closes, it closes.
 *
 *   dialing ──open──▶ open ──▶ closed
 *      └─ failed: dials again
 */

type Handler<E extends Event> = ((event: E) => unknown) | null;

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 1_500;
/** The client gives a silent socket up after 60 s; a ping of its protocol says we are still at it. */
const SIGN_OF_LIFE_MS = 25_000;
const PING = JSON.stringify({ type: "Ping" });

export function pauseBefore(attempt: number, chance: number): number {
  const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 10));
  return pause * (0.75 + chance / 2);
}

export function withToken(address: string, token: string | null): string {
  if (!token) return address;
  const url = new URL(address);
  url.searchParams.set("token", token);
  return url.href;
}

/** A class for the client's `webSocketConstructor`: it uses these members and no others. */
export function patientSocket(token: string | null): typeof WebSocket {
  class Bound extends PatientSocket {
    constructor(address: string | URL) {
      super(withToken(String(address), token));
    }
  }
  return Bound as unknown as typeof WebSocket;
}

class PatientSocket {
  onmessage: Handler<MessageEvent> = null;
  onerror: Handler<Event> = null;
  onclose: Handler<CloseEvent> = null;

  readonly #address: string;
  #onopen: Handler<Event> = null;
  /** The attempt under way, or the open socket; null between two attempts. */
  #socket: WebSocket | null = null;
  #attempts = 0;
  #closed = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Set while dialing; cleared by the opening and the end. */
  #signs: ReturnType<typeof setInterval> | undefined;

  constructor(address: string) {
    this.#address = address;
    this.#signs = setInterval(() => this.#tell(PING), SIGN_OF_LIFE_MS);
    this.#dial();
  }

  /**
   * N.B. the client drops a socket that is still opening not by `close`, but by
   * setting another `onopen`: then we stop dialing for it.
   */
  set onopen(handler: Handler<Event>) {
    const dropped = this.#onopen !== null && this.readyState === WebSocket.CONNECTING;
    this.#onopen = handler;
    if (dropped) this.close();
  }

  get readyState(): number {
    if (this.#closed) return WebSocket.CLOSED;
    return this.#socket?.readyState ?? WebSocket.CONNECTING;
  }

  send(data: string): void {
    this.#socket?.send(data);
  }

  close(code?: number, reason?: string): void {
    this.#end();
    if (this.#socket) this.#socket.close(code, reason);
    else queueMicrotask(() => this.onclose?.(new CloseEvent("close", { code: 1000 })));
  }

  #dial(): void {
    const socket = new WebSocket(this.#address);
    let opened = false;
    this.#socket = socket;
    socket.onopen = (event) => {
      opened = true;
      clearInterval(this.#signs);
      this.#onopen?.(event);
    };
    socket.onmessage = (event) => this.onmessage?.(event);
    socket.onerror = (event) => opened && this.onerror?.(event);
    socket.onclose = (event) => {
      if (!opened && !this.#closed) return this.#dialLater();
      this.#end();
      this.onclose?.(event);
    };
  }

  #dialLater(): void {
    this.#socket = null;
    const pause = pauseBefore(this.#attempts, Math.random());
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#dial(), pause);
  }

  #tell(text: string): void {
    this.onmessage?.(new MessageEvent("message", { data: text }));
  }

  #end(): void {
    this.#closed = true;
    clearInterval(this.#signs);
    clearTimeout(this.#retry);
  }
}
