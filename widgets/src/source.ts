/**
 * Where a live view's values come from: one contract, two ways (socket, comm).
 */
import type { Value } from "convex/values";
import type { LiveSpec } from "./spec.ts";

/**
 * How the connection stands.
 *
 *   connecting ──▶ live ⇄ reconnecting
 */
export type Link = "connecting" | "live" | "reconnecting";

export interface QueryFailure {
  readonly message: string;
  /** What a ConvexError carries; undefined for every other error. */
  readonly data: Value | undefined;
}

export interface Follower {
  value(value: Value): void;
  failed(failure: QueryFailure): void;
  link(link: Link): void;
}

export interface Source {
  /** Tells the follower the query's newest result, again and again, until the signal. */
  follow(spec: LiveSpec, follower: Follower, signal: AbortSignal): void;
}
