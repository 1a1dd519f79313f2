/**
 * Live views that are seen now and then: in a tab, below a section's head.
 *
 * What nobody sees follows and asks nothing, and keeps what was done to it: filters, an
 * order, columns. Seen again, it goes on from there.
 */
import * as React from "react";
import { showLive } from "../../src/panel.ts";
import type { Follower, Query, Source } from "../../src/source.ts";
import { Shown } from "./hooks.ts";

/** Shows a live view, or nothing yet; another `key`, or another source, is another view. */
export function useLive(
  host: React.RefObject<HTMLElement>,
  live: unknown,
  source: Source,
  key: string,
): void {
  const shown = React.useContext(Shown);
  const sight = React.useRef<Sight | null>(null);
  // What nobody has seen is not made.
  const wanted = React.useRef(false);
  wanted.current ||= shown;
  const isMade = wanted.current && live !== null;
  // biome-ignore lint: `key` stands for what is shown.
  React.useEffect(() => {
    if (!host.current || !isMade) return;
    const life = new AbortController();
    sight.current = new Sight();
    showLive(host.current, live, whileSeen(source, sight.current), life.signal);
    return () => life.abort();
  }, [source, key, isMade]);
  React.useEffect(() => sight.current?.see(shown), [source, key, isMade, shown]);
}

/** Whether a view is seen, and who goes on when it is. */
class Sight {
  #isSeen = true;
  /** Ended when it is not seen any more. */
  #look = new AbortController();
  readonly #follows = new Set<(look: AbortSignal) => void>();
  #waiting: (() => void)[] = [];

  see(isSeen: boolean): void {
    if (isSeen === this.#isSeen) return;
    this.#isSeen = isSeen;
    if (!isSeen) return this.#look.abort();
    this.#look = new AbortController();
    for (const follow of this.#follows) follow(this.#look.signal);
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Has `follow` called now, and whenever it is seen again. */
  during(follow: (look: AbortSignal) => void, signal: AbortSignal): void {
    this.#follows.add(follow);
    signal.addEventListener("abort", () => this.#follows.delete(follow));
    if (this.#isSeen) follow(this.#look.signal);
  }

  async seen(): Promise<void> {
    if (!this.#isSeen) await new Promise<void>((go) => this.#waiting.push(go));
  }
}

function whileSeen(source: Source, sight: Sight): Source {
  const why = source.why?.bind(source);
  return {
    followsAny: source.followsAny,
    follow(query: Query, follower: Follower, signal: AbortSignal): void {
      const during = (look: AbortSignal) =>
        source.follow(query, follower, AbortSignal.any([signal, look]));
      if (!signal.aborted) sight.during(during, signal);
    },
    // What a view asks by itself waits; what somebody does is done where they see it.
    async rows(sql, params, moment, until, of) {
      await sight.seen();
      return source.rows(sql, params, moment, until, of);
    },
    call: (kind, path, args, foreseen) => source.call(kind, path, args, foreseen),
    at: (query, moment) => source.at(query, moment),
    upload: (file) => source.upload(file),
    part: (part) => source.part(part),
    ...(why ? { why } : {}),
  };
}
