/** What components follow: only while they can be seen. */
import { convexToJson, type Value } from "convex/values";
import * as React from "react";
import type { Link, Source } from "../../src/source.ts";
import type { Args } from "../../src/spec.ts";
import type { Deployment } from "./deployment.ts";
import { isMeant, type Kind } from "./meant.ts";

/** Whether what is drawn can be seen: what cannot follows nothing, and keeps no deployment awake. */
export const Shown = React.createContext(true);

export interface Followed<T> {
  /** The newest; undefined before the first. */
  readonly value: T | undefined;
  readonly failure: string | null;
  readonly link: Link;
}

/** A query's newest result. */
export function useFollowed<T = Value>(source: Source, path: string, args: Args): Followed<T> {
  const shown = React.useContext(Shown);
  const [followed, set] = React.useState<Followed<T>>({
    value: undefined,
    failure: null,
    link: "connecting",
  });
  const key = JSON.stringify(convexToJson(args));
  // biome-ignore lint: `key` stands for the arguments, which are made anew at each drawing.
  React.useEffect(() => {
    if (!shown) return;
    const life = new AbortController();
    const follower = {
      value: (value: Value) => set((was) => ({ ...was, value: value as T, failure: null })),
      failed: ({ message }: { message: string }) => set((was) => ({ ...was, failure: message })),
      link: (link: Link) => set((was) => (was.link === link ? was : { ...was, link })),
    };
    source.follow({ path, args }, follower, life.signal);
    return () => life.abort();
  }, [source, path, key, shown]);
  return followed;
}

type Work = [busy: boolean, failure: string, run: (work: () => Promise<void>) => void];

/** Runs what a button does: busy until all of it is done, and what went wrong is said. */
export function useWork(): Work {
  const [atWork, setAtWork] = React.useState(0);
  const [failure, setFailure] = React.useState("");
  const run = (work: () => Promise<void>) => {
    setAtWork((many) => many + 1);
    setFailure("");
    work()
      .catch((error: Error) => setFailure(error.message))
      .finally(() => setAtWork((many) => many - 1));
  };
  return [atWork > 0, failure, run];
}

/** The same for what changes something by hand: in production one is asked before. */
export function useChange(deployment: Deployment, kind: Kind): Work {
  const [busy, failure, run] = useWork();
  const change = (work: () => Promise<void>) =>
    run(async () => {
      if (await isMeant(deployment, kind)) await work();
    });
  return [busy, failure, change];
}

type Works = [
  isBusy: (line: string) => boolean,
  failure: string,
  run: (line: string, work: () => Promise<void>) => void,
];

/** The same for the lines of a list: one that is being changed does not hold up the others. */
export function useChanges(deployment: Deployment, kind: Kind): Works {
  const [lines, setLines] = React.useState<readonly string[]>([]);
  const [, failure, run] = useWork();
  const change = (line: string, work: () => Promise<void>) => {
    setLines((busy) => [...busy, line]);
    run(async () => {
      try {
        if (await isMeant(deployment, kind)) await work();
      } finally {
        setLines((busy) => busy.filter((each) => each !== line));
      }
    });
  };
  return [(line) => lines.includes(line), failure, change];
}
