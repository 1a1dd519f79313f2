/** What became of a document: its revisions, newest first, with what each changed. */
import { DOCUMENT, type Deployment, type Revision } from "./deployment.ts";
import * as React from "react";
import { timeText } from "../../src/value.ts";
import { useFollowed } from "./hooks.ts";
import { Action, List, Nothing, Trouble } from "./section.tsx";

interface Change {
  readonly field: string;
  readonly before: string | null;
  readonly after: string | null;
}

export function History(props: {
  deployment: Deployment;
  table: string;
  id: string;
  close: () => void;
}) {
  const { deployment, table, id, close } = props;
  // It has another revision whenever it is another document.
  const now = useFollowed(deployment.owner, DOCUMENT, { id });
  const [revisions, setRevisions] = React.useState<readonly Revision[] | null>(null);
  const [failure, setFailure] = React.useState<string | null>(null);
  // biome-ignore lint: the last says when.
  React.useEffect(() => {
    let isWanted = true;
    deployment.history(table, id).then(
      (found) => isWanted && setRevisions(found),
      (error: Error) => isWanted && setFailure(error.message),
    );
    return () => {
      isWanted = false;
    };
  }, [deployment, table, id, now.value]);
  return (
    <section className="convexlab-history" aria-label={`History of ${id}`}>
      <div className="convexlab-line">
        <span className="convexlab-label">{id}</span>
        <Action text="Close" label="Close" run={close} />
      </div>
      <Trouble text={failure} />
      {revisions === null ? (
        <Nothing text="…" />
      ) : (
        <>
          <Compared revisions={revisions} />
          <Revisions revisions={revisions} />
        </>
      )}
    </section>
  );
}

/** What two revisions differ in, whatever was between them. */
function Compared({ revisions }: { revisions: readonly Revision[] }) {
  const [ends, setEnds] = React.useState<readonly [string, string] | null>(null);
  if (revisions.length < 2) return null;
  const [first, last] = ends ?? [revisions[0]?.from ?? "", revisions.at(-1)?.from ?? ""];
  const at = (from: string) => revisions.find((revision) => revision.from === from)?.document ?? {};
  const changes = changesOf(at(first), at(last));
  const choose = (label: string, value: string, chosen: (from: string) => void) => (
    <select aria-label={label} value={value} onChange={(event) => chosen(event.target.value)}>
      {revisions.map(({ from }) => (
        <option key={from} value={from}>
          {momentOf(from)}
        </option>
      ))}
    </select>
  );
  return (
    <section className="convexlab-compared" aria-label="Two revisions compared">
      <div className="convexlab-compare">
        {choose("from", first, (from) => setEnds([from, last]))}
        <span aria-hidden="true">→</span>
        {choose("to", last, (from) => setEnds([first, from]))}
      </div>
      {changes.length === 0 ? <Nothing text="They are equal." /> : <Changes changes={changes} />}
    </section>
  );
}

function Revisions({ revisions }: { revisions: readonly Revision[] }) {
  const steps = revisions.map((revision, at) => ({
    revision,
    changes: changesOf(revisions[at - 1]?.document ?? {}, revision.document ?? {}),
  }));
  const last = revisions.at(-1);
  return (
    <List label="Revisions">
      {last?.to ? <li className="convexlab-revision">{momentOf(last.to)}: deleted</li> : null}
      {steps.reverse().map(({ revision, changes }) => (
        <li key={revision.from} className="convexlab-revision">
          <time>{momentOf(revision.from)}</time>
          <Changes changes={changes} />
        </li>
      ))}
    </List>
  );
}

function Changes({ changes }: { changes: readonly Change[] }) {
  return (
    <dl className="convexlab-facts">
      {changes.map(({ field, before, after }) => (
        <React.Fragment key={field}>
          <dt>{field}</dt>
          <dd>
            {before === null ? null : <del>{before}</del>} {after === null ? null : <ins>{after}</ins>}
          </dd>
        </React.Fragment>
      ))}
    </dl>
  );
}

/** A timestamp of the deployment's, nanoseconds as text, as a time of day. */
function momentOf(ts: string): string {
  return timeText(Number(BigInt(ts) / 1_000_000n));
}

/** What differs between two revisions, field by field. */
export function changesOf(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): readonly Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names
    .filter((name) => name !== "_id" && name !== "_creationTime")
    .map((field) => ({ field, before: written(before[field]), after: written(after[field]) }))
    .filter((change) => change.before !== change.after);
}

function written(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}
