/**
 * Importing: a file that is dropped on a table, or chosen for one, becomes its documents.
 *
 *   sent ──▶ looked at ──▶ brought in ──▶ so many documents
 *                └─────────────┴──▶ why not
 *
 * The deployment tells how far it is; until it is there it can be given up, and says what
 * it leaves behind.
 */
import type { Value } from "convex/values";
import * as React from "react";
import { sendAsOwner } from "../../src/owner.ts";
import { isRecord } from "../../src/spec.ts";
import { count } from "../../src/views/tree.ts";
import type { Deployment } from "./deployment.ts";
import { useFollowed } from "./hooks.ts";
import { Action, Trouble } from "./section.tsx";

const IMPORT = "_system/cli/queryImport:default";
/** A part of a file that is sent at a time. */
const PART_BYTES = 5_000_000;

const FORMATS: Readonly<Record<string, string>> = {
  csv: "csv",
  json: "jsonArray",
  jsonl: "jsonLines",
  ndjson: "jsonLines",
  parquet: "parquet",
};

/** What is being sent, or is there to be looked at. */
export type Importing =
  | { readonly kind: "sending"; readonly sent: number; readonly life: AbortController }
  | { readonly kind: "there"; readonly id: string }
  | { readonly kind: "failed"; readonly why: string };

/** Sends a file in parts; each time that one is there, it says so. */
export async function sendFile(
  deployment: Deployment,
  table: string,
  file: File,
  say: (how: Importing) => void,
): Promise<void> {
  const life = new AbortController();
  say({ kind: "sending", sent: 0, life });
  try {
    const format = formatOf(file.name);
    const ask = (path: string, body: BodyInit) => {
      life.signal.throwIfAborted();
      return sendAsOwner(deployment.address, `api/import/${path}`, body).then((said) => said.json());
    };
    const { uploadToken } = (await ask("start_upload", "")) as { uploadToken: string };
    const partTokens: unknown[] = [];
    for (let from = 0; from === 0 || from < file.size; from += PART_BYTES) {
      const query = new URLSearchParams({ uploadToken, partNumber: String(partTokens.length + 1) });
      const part = file.slice(from, from + PART_BYTES);
      partTokens.push(await ask(`upload_part?${query}`, part));
      say({ kind: "sending", sent: Math.min(1, (from + part.size) / file.size), life });
    }
    const wanted = { tableName: table, format, mode: "append" };
    const finish = JSON.stringify({ import: wanted, uploadToken, partTokens });
    const { importId } = (await ask("finish_upload", finish)) as { importId: string };
    say({ kind: "there", id: importId });
  } catch (error) {
    say({ kind: "failed", why: life.signal.aborted ? "Given up." : (error as Error).message });
  }
}

function formatOf(name: string): string {
  const ending = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  const format = FORMATS[ending];
  if (format) return format;
  throw new Error(`${name}: rows come as .csv, .json, .jsonl or .parquet.`);
}

export function Progress(props: {
  deployment: Deployment;
  how: Importing;
  close: () => void;
}) {
  const { deployment, how, close } = props;
  switch (how.kind) {
    case "sending":
      return (
        <Bar text={`Sending: ${Math.floor(how.sent * 100)} %`} value={how.sent}>
          <Action text="Cancel" label="Cancel the import" run={() => how.life.abort()} />
        </Bar>
      );
    case "failed":
      return <Ended why={how.why} close={close} />;
    case "there":
      return <BroughtIn deployment={deployment} id={how.id} close={close} />;
    default:
      return how satisfies never;
  }
}

interface State {
  readonly state: string;
  readonly progress_message?: string;
  readonly error_message?: string;
  readonly num_rows_written?: Value;
}

/** An import that is at the deployment: it is confirmed by who chose the file. */
function BroughtIn({ deployment, id, close }: { deployment: Deployment; id: string; close: () => void }) {
  const { value, failure } = useFollowed<Value>(deployment.owner, IMPORT, { importId: id });
  const [problem, setProblem] = React.useState<string | null>(null);
  const state = stateOf(value);
  const ask = (path: string) =>
    sendAsOwner(deployment.address, `api/${path}`, JSON.stringify({ importId: id })).catch(
      (error: Error) => setProblem(error.message),
    );
  const waits = state?.state === "waiting_for_confirmation";
  // biome-ignore lint: once, when it waits.
  React.useEffect(() => {
    if (waits) void ask("perform_import");
  }, [waits]);
  const why = problem ?? failure ?? (state?.state === "failed" ? state.error_message : null);
  if (why) return <Ended why={why} close={close} />;
  if (state?.state === "completed") {
    return (
      <div className="convexlab-progress" role="status">
        {count(Number(state.num_rows_written), "document")} imported.
        <Action text="Close" label="Close" run={close} />
      </div>
    );
  }
  return (
    <Bar text={state?.progress_message ?? "Looking at the file"} value={null}>
      <Action text="Cancel" label="Cancel the import" run={() => void ask("cancel_import")} />
    </Bar>
  );
}

function stateOf(value: Value | undefined): State | null {
  return isRecord(value) && isRecord(value.state) ? (value.state as unknown as State) : null;
}

function Bar(props: { text: string; value: number | null; children: React.ReactNode }) {
  return (
    <div className="convexlab-progress" role="status">
      <span>{props.text}</span>
      <progress aria-label="Import" {...(props.value === null ? {} : { value: props.value })} />
      {props.children}
    </div>
  );
}

function Ended({ why, close }: { why: string; close: () => void }) {
  return (
    <div className="convexlab-progress">
      <Trouble text={why} />
      <Action text="Close" label="Close" run={close} />
    </div>
  );
}
