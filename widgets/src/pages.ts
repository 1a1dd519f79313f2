/**
 * A query that is read page by page, as far as somebody has scrolled.
 *
 *   page 1 ──▶ page 2 ──▶ …        each followed by itself, shown as one
 *
 * A page that is followed ends where it ended first (the deployment keeps its
 * journal), so that pages neither overlap nor leave gaps while rows come and go. A
 * result that is no page is passed on as it is.
 */
import type { Value } from "convex/values";
import type { Follower, Query, QueryFailure, Source } from "./source.ts";
import { type Args, isObject } from "./spec.ts";

interface Page {
  readonly page: readonly Value[];
  readonly isDone: boolean;
  readonly continueCursor: string;
}

export class Pages {
  readonly #source: Pick<Source, "follow" | "followsAny">;
  readonly #query: Query;
  readonly #follower: Follower;
  readonly #signal: AbortSignal;
  /** The newest value of each page, from the first; null: it has not come yet. */
  readonly #values: (Value | null)[] = [];
  /** What ends the following of each page beyond the first. */
  readonly #ends: AbortController[] = [];

  constructor(
    source: Pick<Source, "follow" | "followsAny">,
    query: Query,
    follower: Follower,
    signal: AbortSignal,
  ) {
    this.#source = source;
    this.#query = query;
    this.#follower = follower;
    this.#signal = signal;
    this.#follow(query.args, 0, signal);
    signal.addEventListener("abort", () => this.#drop(1));
  }

  /** One page more, if there is one and none is on its way. */
  more(): void {
    const last = asPage(this.#values.at(-1));
    const opts = this.#query.args.paginationOpts;
    if (!last || last.isDone || !isObject(opts) || !this.#source.followsAny) return;
    const paginationOpts = { ...opts, cursor: last.continueCursor };
    const end = new AbortController();
    this.#ends.push(end);
    this.#follow({ ...this.#query.args, paginationOpts }, this.#values.length, end.signal);
  }

  #follow(args: Args, at: number, signal: AbortSignal): void {
    this.#values[at] = null;
    const told = this.#follower;
    const follower: Follower = {
      value: (value) => this.#receive(at, value),
      failed: (failure: QueryFailure) => told.failed(failure),
      link: (link) => at === 0 && told.link(link),
    };
    this.#source.follow({ path: this.#query.path, args }, follower, signal);
  }

  #receive(at: number, value: Value): void {
    if (this.#signal.aborted) return;
    const before = asPage(this.#values[at]);
    const now = asPage(value);
    this.#values[at] = value;
    // It ends elsewhere now, as after a push: what followed it follows no more.
    if (before && before.continueCursor !== now?.continueCursor) this.#drop(at + 1);
    if (this.#values.every((page) => page !== null)) this.#follower.value(this.#whole());
  }

  #drop(from: number): void {
    for (const end of this.#ends.splice(from - 1)) end.abort();
    this.#values.splice(from);
  }

  #whole(): Value {
    const [first] = this.#values;
    if (this.#values.length === 1) return first as Value;
    const pages = this.#values.map((value) => asPage(value as Value)) as Page[];
    const last = pages.at(-1) as Page;
    return { ...(last as unknown as Args), page: pages.flatMap(({ page }) => [...page]) };
  }
}

function asPage(value: Value | null | undefined): Page | null {
  if (value === undefined || !isObject(value) || !Array.isArray(value.page)) return null;
  return typeof value.continueCursor === "string" ? (value as unknown as Page) : null;
}
