/** Files: what is stored, with a look inside; more by choosing them, or by dropping them here. */
import * as React from "react";
import { timeText } from "../../src/value.ts";
import { bytesText } from "./bytes.ts";
import { type Deployment, FILES, type Page, type StoredFile } from "./deployment.ts";
import { useChange, useChanges, useFollowed } from "./hooks.ts";
import { Action, Entry, List, Nothing, Trouble } from "./section.tsx";

const SHOWN = 100;
/** Of a text, so much is shown. */
const PREVIEW_BYTES = 2_000;
const PAGE = { paginationOpts: { cursor: null, numItems: SHOWN } };

export function FilesView({ deployment }: { deployment: Deployment }) {
  const { value, failure } = useFollowed<Page<StoredFile>>(deployment.owner, FILES, PAGE);
  const [busy, problem, run] = useChange(deployment, "files");
  const [isBusy, refusal, change] = useChanges(deployment, "files");
  const store = (files: readonly File[]) =>
    run(async () => {
      for (const file of files) await deployment.owner.upload(file);
    });
  return (
    <div
      className="convexlab-dropzone"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        store([...event.dataTransfer.files]);
      }}
    >
      <div className="convexlab-line">
        <label className="convexlab-action convexlab-choose">
          {busy ? "Storing…" : "Store files"}
          <input
            type="file"
            multiple
            aria-label="Store files"
            onChange={(event) => {
              store([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </label>
      </div>
      <Trouble text={problem || refusal || failure} />
      {value?.page.length === 0 ? <Nothing text="No files: choose some, or drop them here." /> : null}
      <List label="Files">
        {value?.page.map((file) => (
          <Entry
            key={file._id}
            name={file._id}
            label={file.contentType ?? file._id}
            glance={<span className="convexlab-badge">{bytesText(file.size)}</span>}
            actions={
              <Action
                text="Delete"
                label={`Delete ${file._id}`}
                disabled={isBusy(file._id)}
                run={() => change(file._id, () => deployment.removeFile(file._id))}
              />
            }
          >
            <Preview file={file} address={deployment.addressOfFile(file)} />
          </Entry>
        ))}
      </List>
      {value?.isDone === false ? <Nothing text={`The newest ${SHOWN}.`} /> : null}
    </div>
  );
}

function Preview({ file, address }: { file: StoredFile; address: string }) {
  const type = file.contentType ?? "";
  return (
    <>
      <dl className="convexlab-facts">
        <dt>Id</dt>
        <dd>{file._id}</dd>
        <dt>Stored</dt>
        <dd>{timeText(file._creationTime)}</dd>
      </dl>
      {type.startsWith("image/") ? (
        <img className="convexlab-image" src={address} alt={`Stored file ${file._id}`} />
      ) : null}
      {/^text\/|[/+]json\b/.test(type) ? <TextPreview address={address} /> : null}
      <a href={address} download={file._id}>
        Download
      </a>
    </>
  );
}

function TextPreview({ address }: { address: string }) {
  const [text, setText] = React.useState("…");
  React.useEffect(() => {
    const life = new AbortController();
    beginningOf(address, life.signal).then(setText, (error: Error) => {
      if (!life.signal.aborted) setText(error.message);
    });
    return () => life.abort();
  }, [address]);
  return <pre className="convexlab-logline">{text}</pre>;
}

async function beginningOf(address: string, signal: AbortSignal): Promise<string> {
  const headers = { Range: `bytes=0-${PREVIEW_BYTES - 1}` };
  const answer = await fetch(address, { headers, signal });
  return answer.ok ? answer.text() : "";
}
