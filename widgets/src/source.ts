/**
 * Where a live view's values come from, and where its writes go: one contract, two
 * ways (socket, comm).
 *
 * Views follow and call as the page's user. What needs the deployment's key (whole
 * tables, uploads) is asked for by name, so that each way can see that it is that.
 */
import type { Value } from "convex/values";
import type { Part, Parts } from "./parts.ts";
import type { Answered, Args, Changed } from "./spec.ts";
import type { Parameter } from "./table/filters.ts";
import type { Row } from "./table/rows.ts";
import type { Story } from "./why.ts";

/**
 * How the connection stands.
 *
 *   connecting ──▶ live ⇄ reconnecting
 *              ──▶ answered                  asked once, and not followed
 */
export type Link = "connecting" | "live" | "reconnecting" | "answered";

export interface QueryFailure {
  /** What it is called, where it is not the query that failed. */
  readonly title?: string;
  readonly message: string;
  /** What a ConvexError carries; undefined for every other error. */
  readonly data?: Value | undefined;
}

/** A call that failed, in the deployment's words. */
export class CallError extends Error {
  constructor(
    message: string,
    readonly data: Value | undefined = undefined,
    readonly code: string = "",
  ) {
    // What a function says to its callers is a sentence as a rule: then that is all they read.
    super(typeof data === "string" ? data : message);
  }
}

// N.B. out of retention: a mirror that has just been built begins after what was asked for.
const PASSING = /^(FollowerBehind|OutOfRetention|Unavailable|Overloaded|Http5\d\d)$/;

/** Whether asking again may succeed: the network is away, or the deployment is not ready yet. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof CallError) || PASSING.test(error.code);
}

export interface Follower {
  value(value: Value): void;
  failed(failure: QueryFailure): void;
  link(link: Link): void;
}

export interface Query {
  readonly path: string;
  readonly args: Args;
}

/** What a mutation will have done to a query's result. */
export interface Foreseen extends Query {
  change(result: Value): Value;
}

export type Kind = "query" | "mutation" | "action";

export interface Source {
  /** Whether it follows any query, or only the one that it was made for. */
  readonly followsAny: boolean;
  /** Tells the follower the query's newest result, again and again, until the signal. */
  follow(query: Query, follower: Follower, signal: AbortSignal): void;
  /** Fails with CallError. What is foreseen is shown until the deployment has answered. */
  call(kind: Kind, path: string, args: Args, foreseen?: Foreseen): Promise<Value>;
  /** A query's result as of a moment, in milliseconds since 1970. */
  at(query: Query, moment: number): Promise<Value>;
  /**
   * The rows of a SELECT over the deployment's tables, as of a moment (in milliseconds
   * since 1970) or now; nobody waits for them after the signal. `of`: it is one over the
   * rows of that statement, or of what changed in a table, as the table `rows`.
   */
  rows(
    sql: string,
    params: readonly Parameter[],
    moment?: number | null,
    until?: AbortSignal,
    of?: Answered | Changed | null,
  ): Promise<Row[]>;
  /** Stores a file; its storage id. */
  upload(file: File): Promise<string>;
  /** A script of its own, which is loaded when somebody needs it. */
  part<P extends Part>(part: P): Promise<Parts[P]>;
  /** Why a followed query says what it says; null: nobody knows. Absent where one cannot ask. */
  why?(query: Query): Promise<Story | null>;
}

/** Tells a follower what a function answers now; it is not followed. */
export function askOnce(
  source: Source,
  kind: Kind,
  { path, args }: Query,
  follower: Follower,
): void {
  source.call(kind, path, args).then(
    (value) => {
      follower.link("answered");
      follower.value(value);
    },
    (error: CallError) => follower.failed(error),
  );
}
