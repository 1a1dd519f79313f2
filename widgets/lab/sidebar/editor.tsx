/**
 * The document editor: one document as JSON, checked while one types, by the deployment.
 *
 *   clean ⇄ edited ──save──▶ clean          (refused: edited, and why)
 *
 * What is edited is the document as it was when one began: a change that comes meanwhile
 * is told, and saving over it is refused by the deployment.
 */
import { showDialog, Dialog } from "@jupyterlab/apputils";
import { type JSONValue, jsonToConvex } from "convex/values";
import * as React from "react";
import { type Args, isObject } from "../../src/spec.ts";
import { sameValue } from "../../src/value.ts";
import { type Deployment, DOCUMENT, textOf } from "./deployment.ts";
import { useChange, useFollowed } from "./hooks.ts";
import { Action, Nothing, Trouble } from "./section.tsx";

const PAUSE_MS = 250;

interface Props {
  readonly deployment: Deployment;
  readonly table: string;
  /** Null: a new document. */
  readonly id: string | null;
  readonly close: () => void;
  /** Told whether there is something that closing would lose. */
  readonly writing: (isWriting: boolean) => void;
  /** Each time it is another number but 0, the text takes the focus. */
  readonly askedFor: number;
}

export function Editor(props: Props) {
  return props.id === null ? (
    <Form {...props} now={null} />
  ) : (
    <Existing {...props} id={props.id} />
  );
}

function Existing(props: Props & { readonly id: string }) {
  const { value, failure } = useFollowed<Args | null>(props.deployment.owner, DOCUMENT, {
    id: props.id,
  });
  if (failure) return <Trouble text={failure} />;
  if (value === undefined) return <Nothing text="…" />;
  if (value === null) return <Gone {...props} />;
  return <Form {...props} now={value} />;
}

function Gone({ writing, close }: Pick<Props, "writing" | "close">) {
  React.useEffect(() => writing(false), [writing]);
  return (
    <>
      <Nothing text="This document has been deleted." />
      <div className="convexlab-line">
        <Action text="Close" label="Close" run={close} />
      </div>
    </>
  );
}

/** `now`: the document as it is in the deployment. */
function Form(props: Props & { readonly now: Args | null }) {
  const { deployment, table, id, close, writing, askedFor, now } = props;
  const textarea = React.useRef<HTMLTextAreaElement>(null);
  React.useEffect(() => {
    if (askedFor > 0) textarea.current?.focus();
  }, [askedFor]);
  const [before, setBefore] = React.useState(now);
  const [text, setText] = React.useState(() => textOf(withoutGiven(now ?? {})));
  const [busy, failure, run] = useChange(deployment, "documents");
  const refusal = useChecked(deployment, table, text);
  const isEdited = text !== textOf(withoutGiven(before ?? {}));
  const maySave = !busy && !refusal && (isEdited || id === null);
  React.useEffect(() => writing(isEdited), [isEdited, writing]);
  const hasChanged = now !== null && before !== null && !sameValue(now, before);
  const start = (document: Args | null) => {
    setBefore(document);
    setText(textOf(withoutGiven(document ?? {})));
  };
  // Nobody loses what they type: it follows the deployment until it is touched.
  if (hasChanged && !isEdited) start(now);
  const save = () =>
    run(async () => {
      const document = documentFrom(text);
      if (id === null || before === null) {
        await deployment.add(table, document);
        close();
      } else {
        await deployment.replace(id, document, before);
        start({ ...givenOf(before), ...document });
      }
    });
  const field = fieldOf(table, id);
  return (
    <form
      className="convexlab-editor"
      onSubmit={(event) => {
        event.preventDefault();
        if (maySave) save();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape" && !isEdited) close();
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
          event.currentTarget.requestSubmit();
        }
      }}
    >
      <label htmlFor={field}>{id ?? `New document of ${table}`}</label>
      <textarea
        ref={textarea}
        id={field}
        spellCheck={false}
        value={text}
        aria-invalid={isEdited && refusal !== null}
        onChange={(event) => setText(event.target.value)}
      />
      {/* What is still to be written is no mistake yet. */}
      <Trouble text={failure || (isEdited ? refusal : null)} />
      {hasChanged && isEdited ? (
        <Trouble text="This document has been changed meanwhile, by somebody else." />
      ) : null}
      <div className="convexlab-line">
        <button
          type="submit"
          className="convexlab-action convexlab-first"
          aria-disabled={!maySave}
        >
          {id === null ? "Create" : "Save"}
        </button>
        {hasChanged && isEdited ? (
          <Action text="Take theirs" label="Take theirs" run={() => start(now)} />
        ) : null}
        {id === null ? null : (
          <Action text="Delete" label="Delete" run={() => void confirmed(id, deployment, run)} />
        )}
        <Action
          text={isEdited ? "Discard" : "Close"}
          label={isEdited ? "Discard" : "Close"}
          run={close}
        />
      </div>
    </form>
  );
}

async function confirmed(
  id: string,
  deployment: Deployment,
  run: (work: () => Promise<void>) => void,
): Promise<void> {
  const said = await showDialog({
    title: "Delete the document?",
    body: `${id} is deleted for everybody. Its history stays for as long as the deployment keeps it.`,
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: "Delete" })],
  });
  if (said.button.accept) run(() => deployment.remove(id));
}

/** The id of the field in which a document is edited. */
function fieldOf(table: string, id: string | null): string {
  return `convexlab-document-${table}-${id ?? "new"}`;
}

/** Why the text cannot be stored: not JSON, or what the deployment says; null if it can. */
function useChecked(deployment: Deployment, table: string, text: string): string | null {
  const [refusal, setRefusal] = React.useState<string | null>(null);
  React.useEffect(() => {
    let isNewest = true;
    const timer = setTimeout(async () => {
      const said = await checked(deployment, table, text);
      if (isNewest) setRefusal(said);
    }, PAUSE_MS);
    return () => {
      isNewest = false;
      clearTimeout(timer);
    };
  }, [deployment, table, text]);
  return refusal;
}

async function checked(deployment: Deployment, table: string, text: string) {
  try {
    return await deployment.check(table, documentFrom(text));
  } catch (error) {
    return (error as Error).message;
  }
}

function documentFrom(text: string): Args {
  const value = jsonToConvex(JSON.parse(text) as JSONValue);
  if (isObject(value)) return value;
  throw new Error("A document is an object: {…}.");
}

function givenOf({ _id, _creationTime }: Args): Args {
  return { _id: _id ?? null, _creationTime: _creationTime ?? null };
}

/** What one does not write oneself is not shown for editing. */
function withoutGiven({ _id, _creationTime, ...own }: Args): Args {
  return own;
}
