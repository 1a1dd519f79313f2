/** How the deployment stands: where it is, its release, its processes and their memory. */
import * as React from "react";
import type { Link } from "../../src/source.ts";
import { timeText } from "../../src/value.ts";
import { type Deployment, FUNCTIONS, type Status, TABLES } from "./deployment.ts";
import { Shown, useFollowed } from "./hooks.ts";
import { Action, Trouble } from "./section.tsx";

const LINKS: Record<Link, string> = {
  connecting: "connecting…",
  live: "live",
  reconnecting: "reconnecting…",
};

export function StatusView({ deployment }: { deployment: Deployment }) {
  const shown = React.useContext(Shown);
  const tables = useFollowed(deployment.owner, TABLES, {});
  const functions = useFollowed(deployment.owner, FUNCTIONS, {});
  const [status, setStatus] = React.useState<Status | null>(null);
  const [failure, setFailure] = React.useState<string | null>(null);
  const [asked, ask] = React.useReducer((times: number) => times + 1, 0);
  // What is deployed, and who runs it, changes with these; so it is asked then, and not by the clock.
  // biome-ignore lint: the last three say when.
  React.useEffect(() => {
    if (!shown || tables.link !== "live") return;
    let isWanted = true;
    const told = (now: Status | null, problem: string | null) => {
      if (!isWanted) return;
      if (now) setStatus(now);
      setFailure(problem);
    };
    deployment.status().then(
      (now) => told(now, null),
      (error: Error) => told(null, error.message),
    );
    return () => {
      isWanted = false;
    };
  }, [deployment, shown, tables.link, tables.value, functions.value, asked]);
  return (
    <div className="convexlab-status">
      <div className="convexlab-line">
        <span className="convexlab-link" role="status" data-link={tables.link}>
          {LINKS[tables.link]}
        </span>
        <span className="convexlab-actions">
          <Action text="⟳" label="Ask again for processes and memory" run={ask} />
        </span>
      </div>
      <Trouble text={failure ?? tables.failure} />
      {status ? <Facts status={status} /> : null}
    </div>
  );
}

function Facts({ status }: { status: Status }) {
  const memory = status.processes.reduce((sum, each) => sum + (each.memory ?? 0), 0);
  return (
    <>
      <dl className="convexlab-facts">
        <dt>Address</dt>
        <dd>{status.url}</dd>
        <dt>Version</dt>
        <dd>{status.version}</dd>
        <dt>Since</dt>
        <dd>{timeText(status.startedAt * 1000).slice(0, 19)}</dd>
        <dt>Memory</dt>
        <dd>{bytesText(memory)}</dd>
      </dl>
      <table className="convexlab-processes" aria-label="Processes">
        <thead>
          <tr>
            <th scope="col">process</th>
            <th scope="col">pid</th>
            <th scope="col">memory</th>
          </tr>
        </thead>
        <tbody>
          {status.processes.map(({ role, pid, memory: own }) => (
            <tr key={pid}>
              <td>{role.replaceAll("_", " ")}</td>
              <td>{pid}</td>
              <td>{own === null ? "–" : bytesText(own)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

const UNITS = ["bytes", "KB", "MB", "GB", "TB"];

/** As people say it: `12.3 MB`. */
export function bytesText(bytes: number): string {
  let [size, unit] = [bytes, 0];
  while (size >= 1000 && unit < UNITS.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${unit > 0 && size < 100 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}
