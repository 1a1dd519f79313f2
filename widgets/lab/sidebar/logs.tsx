/**
 * The log as it comes: what each run printed and came to, as far as it is wanted.
 *
 * One request waits for what comes next while the section can be seen; the deployment
 * answers it when there is something.
 */
import * as React from "react";
import { isPassing } from "../../src/source.ts";
import { timeText } from "../../src/value.ts";
import { logsCode } from "./code.ts";
import type { Deployment, LogEntry } from "./deployment.ts";
import type { Desk } from "./desk.ts";
import { Shown } from "./hooks.ts";
import { Action, Entry, List, Nothing, Trouble } from "./section.tsx";

/** What is kept on the page; older entries are in the deployment's log. */
const MOST_ENTRIES = 500;
const AGAIN_MS = 1_000;
const PAUSE_MS = 250;

const LEVELS = ["", "debug", "info", "log", "warn", "error"];
const KINDS = ["", "query", "mutation", "action", "httpaction"];

interface Wanted {
  readonly text: string;
  readonly function: string;
  readonly level: string;
  readonly kind: string;
  readonly failed: boolean;
}

export function LogsView({ deployment, desk }: { deployment: Deployment; desk: Desk }) {
  const [wanted, want] = React.useState<Wanted>({
    text: "",
    function: "",
    level: "",
    kind: "",
    failed: false,
  });
  const [entries, failure] = useLog(deployment, wanted);
  return (
    <>
      <Filters wanted={wanted} want={want} />
      <div className="convexlab-line">
        <Action
          text="Add to notebook"
          label="Add a cell that shows this log to the notebook"
          run={() => desk.insert(logsCode(asked(wanted)))}
        />
      </div>
      <Trouble text={failure} />
      {entries?.length === 0 ? <Nothing text="Nothing yet." /> : null}
      <List label="Log">
        {entries?.map((entry) => (
          <Run key={`${entry.executionId} ${entry.timestamp} ${entry.kind}`} entry={entry} />
        ))}
      </List>
    </>
  );
}

/** The newest first; null before the first answer. */
function useLog(
  deployment: Deployment,
  wanted: Wanted,
): [entries: readonly LogEntry[] | null, failure: string | null] {
  const shown = React.useContext(Shown);
  const [entries, setEntries] = React.useState<readonly LogEntry[] | null>(null);
  const [failure, setFailure] = React.useState<string | null>(null);
  React.useEffect(() => {
    if (!shown) return;
    const life = new AbortController();
    const told = (found: readonly LogEntry[], isFirst: boolean) => {
      const news = [...found].reverse();
      setEntries((known) => (isFirst ? news : [...news, ...(known ?? [])].slice(0, MOST_ENTRIES)));
      setFailure(null);
    };
    const begin = setTimeout(
      () => void followLog(deployment, asked(wanted), { told, failed: setFailure }, life.signal),
      PAUSE_MS,
    );
    return () => {
      clearTimeout(begin);
      life.abort();
    };
  }, [deployment, wanted, shown]);
  return [entries, failure];
}

interface Listener {
  told(entries: readonly LogEntry[], isFirst: boolean): void;
  failed(why: string): void;
}

/** Tells the newest, and then what comes, until the signal. */
async function followLog(
  deployment: Deployment,
  wanted: Record<string, string>,
  { told, failed }: Listener,
  signal: AbortSignal,
): Promise<void> {
  let cursor: number | null = null;
  while (!signal.aborted) {
    try {
      const from: Record<string, string> = cursor === null ? {} : { cursor: String(cursor) };
      const page = await deployment.logs({ ...wanted, ...from }, signal);
      if (signal.aborted) return;
      if (cursor === null || page.entries.length > 0) told(page.entries, cursor === null);
      cursor = page.cursor;
    } catch (error) {
      if (signal.aborted) return;
      failed((error as Error).message);
      if (!isPassing(error)) return;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

/** The filters that say something, as the deployment takes them. */
export function asked(wanted: Wanted): Record<string, string> {
  const said = { ...wanted, failed: wanted.failed ? "true" : "" };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value.trim() !== ""));
}

function Filters({ wanted, want }: { wanted: Wanted; want: (wanted: Wanted) => void }) {
  const choose = (name: "level" | "kind", choices: readonly string[]) => (
    <select
      aria-label={name}
      value={wanted[name]}
      onChange={(event) => want({ ...wanted, [name]: event.target.value })}
    >
      {choices.map((choice) => (
        <option key={choice} value={choice}>
          {choice || `any ${name}`}
        </option>
      ))}
    </select>
  );
  const type = (name: "text" | "function") => (
    <input
      type="search"
      aria-label={name}
      placeholder={name}
      value={wanted[name]}
      onChange={(event) => want({ ...wanted, [name]: event.target.value })}
    />
  );
  return (
    <search className="convexlab-filters">
      {type("text")}
      {type("function")}
      {choose("level", LEVELS)}
      {choose("kind", KINDS)}
      <label>
        <input
          type="checkbox"
          checked={wanted.failed}
          onChange={(event) => want({ ...wanted, failed: event.target.checked })}
        />
        failed only
      </label>
    </search>
  );
}

function Run({ entry }: { entry: LogEntry }) {
  const { identifier, timestamp, logLines, executionTime, error, requestId } = entry;
  const took = executionTime === undefined ? "runs" : `${(executionTime * 1000).toFixed(1)} ms`;
  const first = logLines[0]?.messages.join(" ") ?? "";
  return (
    <Entry
      name={identifier}
      label={`${timeText(timestamp * 1000).slice(11, 19)} ${identifier} ${first}`}
      glance={<span className="convexlab-badge">{error ? "failed" : took}</span>}
    >
      {logLines.map((line, at) => (
        // biome-ignore lint: lines of a run stay where they are.
        <pre key={at} className="convexlab-logline" data-level={line.level}>
          {line.level} {line.messages.join(" ")}
        </pre>
      ))}
      <Trouble text={error ?? null} />
      <Nothing text={`${entry.udfType.toLowerCase()}, request ${requestId}`} />
    </Entry>
  );
}
