/**
 * Runs: what was called from this page last, to be called again.
 *
 * They are kept for as long as the tab is open, also when it is loaded anew: arguments
 * may be somebody's secrets, and results are not kept at all.
 */
import { convexToJson, type JSONValue, jsonToConvex } from "convex/values";
import * as React from "react";
import type { Identity } from "../../src/owner.ts";
import type { Args } from "../../src/spec.ts";
import { preview, timeText } from "../../src/value.ts";
import { Action, List, Nothing } from "./section.tsx";

const MOST = 20;
const KEY = "convexlab.runs";

export interface Call {
  readonly path: string;
  /** As Convex's JSON. */
  readonly args: JSONValue;
  /** The user in whose name it was; null: a user who is not signed in. */
  readonly actingAs: Identity | null;
}

export interface Run extends Call {
  readonly number: number;
  /** Milliseconds: when it began, and how long it took. */
  readonly at: number;
  readonly took: number;
  readonly failure: string | null;
}

/** The newest first. Whoever listens is told of each, and of what is to be called again. */
export class Runs {
  #all: readonly Run[] = stored();
  #wanted: Call | null = null;
  readonly #listeners = new Set<() => void>();

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly all = (): readonly Run[] => this.#all;
  readonly wanted = (): Call | null => this.#wanted;

  add(run: Omit<Run, "number">): void {
    const number = (this.#all[0]?.number ?? 0) + 1;
    this.#all = [{ ...run, number }, ...this.#all].slice(0, MOST);
    sessionStorage.setItem(KEY, JSON.stringify(this.#all));
    this.#tell();
  }

  /** Set by who asks for a call to be made again, cleared by the form that makes it. */
  want(call: Call | null): void {
    this.#wanted = call;
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function stored(): readonly Run[] {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "[]") as Run[];
  } catch {
    return [];
  }
}

export function argsOf(call: Call): Args {
  return jsonToConvex(call.args) as Args;
}

export function callOf(path: string, args: Args, actingAs: Identity | null): Call {
  return { path, args: convexToJson(args), actingAs };
}

export function LastRuns({ runs, again }: { runs: Runs; again: (call: Call) => void }) {
  const all = React.useSyncExternalStore(runs.listen, runs.all);
  return (
    <details className="convexlab-runs" open>
      <summary>Last runs</summary>
      {all.length === 0 ? <Nothing text="None yet." /> : null}
      <List label="Last runs">
        {all.map((run) => (
          <OneRun key={run.number} run={run} again={again} />
        ))}
      </List>
    </details>
  );
}

function OneRun({ run, again }: { run: Run; again: (call: Call) => void }) {
  const who = run.actingAs ? ` as ${nameOf(run.actingAs)}` : "";
  return (
    <li className="convexlab-run" data-failed={run.failure !== null}>
      <Action text="Repeat" label={`Repeat ${run.path}`} run={() => again(run)} />
      <time>{timeText(run.at).slice(11)}</time>
      <code title={run.failure ?? undefined}>
        {run.path} {preview(argsOf(run))}
      </code>
      <span className="convexlab-badge">
        {run.failure === null ? `${Math.round(run.took)} ms` : "failed"}
        {who}
      </span>
    </li>
  );
}

export function nameOf(actingAs: Identity): string {
  return String(actingAs.name ?? actingAs.email ?? actingAs.subject ?? actingAs.tokenIdentifier);
}
