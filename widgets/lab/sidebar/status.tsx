/** How the deployment stands: where it is, its release, its processes and what follows it. */
import * as React from "react";
import { isPassing, type Link } from "../../src/source.ts";
import { timeText } from "../../src/value.ts";
import { bytesText } from "./bytes.ts";
import { type Deployment, type Process, type Status, TABLES, type Vitals } from "./deployment.ts";
import { Followers } from "./followers.tsx";
import { Shown, useFollowed } from "./hooks.ts";
import { Trouble } from "./section.tsx";

const AGAIN_MS = 1_000;

const LINKS: Record<Link, string> = {
  connecting: "connecting…",
  live: "live",
  reconnecting: "reconnecting…",
  answered: "answered",
};

export function StatusView({ deployment }: { deployment: Deployment }) {
  const { link, failure } = useFollowed(deployment.owner, TABLES, {});
  const [vitals, problem] = useVitals(deployment);
  const status = useStatus(deployment, link);
  return (
    <div className="convexlab-status">
      <div className="convexlab-line">
        <span className="convexlab-link" role="status" data-link={link}>
          {LINKS[link]}
        </span>
        {status?.production ? <strong className="convexlab-production">production</strong> : null}
      </div>
      <Trouble text={problem ?? failure} />
      {status ? <Facts status={status} /> : null}
      {vitals ? <Processes processes={vitals.processes} /> : null}
      {vitals && vitals.followers.length > 0 ? <Followers followers={vitals.followers} /> : null}
    </div>
  );
}

/** Asked once for each time that one is there: a deployment that begins again is another one. */
function useStatus(deployment: Deployment, link: Link): Status | null {
  const shown = React.useContext(Shown);
  const [status, setStatus] = React.useState<Status | null>(null);
  React.useEffect(() => {
    if (!shown || link !== "live") return;
    let isWanted = true;
    deployment.status().then(
      (now) => isWanted && setStatus(now),
      () => {}, // N.B. the vitals say what is wrong
    );
    return () => {
      isWanted = false;
    };
  }, [deployment, shown, link]);
  return status;
}

/** One request waits while this can be seen, and is answered when there is something to see. */
function useVitals(deployment: Deployment): [vitals: Vitals | null, failure: string | null] {
  const shown = React.useContext(Shown);
  const [vitals, setVitals] = React.useState<Vitals | null>(null);
  const [failure, setFailure] = React.useState<string | null>(null);
  React.useEffect(() => {
    if (!shown) return;
    const life = new AbortController();
    const told = (now: Vitals | null, problem: string | null) => {
      if (life.signal.aborted) return;
      if (now) setVitals(now);
      setFailure(problem);
    };
    void followVitals(deployment, told, life.signal);
    return () => life.abort();
  }, [deployment, shown]);
  return [vitals, failure];
}

async function followVitals(
  deployment: Deployment,
  told: (now: Vitals | null, problem: string | null) => void,
  signal: AbortSignal,
): Promise<void> {
  let seen = "";
  while (!signal.aborted) {
    try {
      const now = await deployment.vitals(seen, signal);
      seen = now.seen;
      told(now, null);
    } catch (error) {
      if (signal.aborted) return;
      told(null, (error as Error).message);
      if (!isPassing(error)) return;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

function Facts({ status }: { status: Status }) {
  return (
    <dl className="convexlab-facts">
      <dt>Name</dt>
      <dd>{status.name}</dd>
      <dt>Address</dt>
      <dd>{status.url}</dd>
      <dt>Version</dt>
      <dd>{status.version}</dd>
      <dt>Since</dt>
      <dd>{timeText(status.startedAt * 1000).slice(0, 19)}</dd>
    </dl>
  );
}

function Processes({ processes }: { processes: readonly Process[] }) {
  const memory = processes.reduce((sum, each) => sum + (each.memory ?? 0), 0);
  return (
    <table className="convexlab-numbers" aria-label="Processes">
      <thead>
        <tr>
          <th scope="col">Process</th>
          <th scope="col">pid</th>
          <th scope="col">memory</th>
        </tr>
      </thead>
      <tbody>
        {processes.map(({ role, pid, memory: own }) => (
          <tr key={pid}>
            <td>{role.replaceAll("_", " ")}</td>
            <td>{pid}</td>
            <td>{own === null ? "–" : bytesText(own)}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">together</th>
          <td />
          <td>{bytesText(memory)}</td>
        </tr>
      </tfoot>
    </table>
  );
}
