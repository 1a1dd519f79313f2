/**
 * The document editor: one document as JSON, checked while one types, by the deployment.
 *
 *   clean ⇄ edited ──save──▶ clean          (refused: edited, and why)
 *
 * What is edited is the document as it was when one began: a change that comes meanwhile
 * is told, and saving over it is refused by the deployment. Whatever comes, what is being
 * written stays: also while it is saved, when it is the next thing to be saved.
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
  const last = React.useRef<Args | null>(null);
  last.current = value ?? last.current;
  if (last.current) {
    return <Form {...props} now={last.current} isGone={value === null} trouble={failure} />;
  }
  if (failure) return <Trouble text={failure} />;
  return value === null ? <Gone {...props} /> : <Nothing text="…" />;
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

interface FormProps extends Props {
  /** The document as it is in the deployment, or was when it was deleted. */
  readonly now: Args | null;
  readonly isGone?: boolean;
  /** Why it may have changed without this being told. */
  readonly trouble?: string | null;
}

function Form(props: FormProps) {
  const { deployment, table, id, close, writing, askedFor, now, isGone, trouble } = props;
  const textarea = React.useRef<HTMLTextAreaElement>(null);
  React.useEffect(() => {
    if (askedFor > 0) textarea.current?.focus();
  }, [askedFor]);
  const [before, setBefore] = React.useState(now);
  const [text, setText] = React.useState(() => textOf(withoutGiven(now ?? {})));
  const [busy, failure, run] = useChange(deployment, "documents");
  const refusal = useChecked(deployment, table, text);
  const isEdited = text !== textOf(withoutGiven(before ?? {}));
  const isWritten = !isGone && (isEdited || id === null);
  const maySave = isWritten && !refusal.why;
  React.useEffect(() => writing(isEdited), [isEdited, writing]);
  // What comes while one saves is what one saves.
  const hasChanged = !busy && now !== null && before !== null && !sameValue(now, before);
  const start = (document: Args | null) => {
    setBefore(document);
    setText(textOf(withoutGiven(document ?? {})));
  };
  // Nobody loses what they type: it follows the deployment until it is touched.
  if (hasChanged && !isEdited) start(now);
  const newest = React.useRef(text);
  newest.current = text;
  const sent = React.useRef(text);
  const save = (written: string) => {
    sent.current = written;
    run(async () => {
      const document = documentFrom(written);
      if (id === null || before === null) {
        await deployment.add(table, document);
        if (newest.current === written) close();
      } else {
        await deployment.replace(id, document, before);
        const saved = { ...givenOf(before), ...document };
        setBefore(saved);
        setText((typed) => (typed === written ? textOf(withoutGiven(saved)) : typed));
      }
    });
  };
  // Asked for while the text before is saved: saved after that, unless that was refused.
  const [next, setNext] = React.useState<string | null>(null);
  // biome-ignore lint: `save` is made anew at each drawing.
  React.useEffect(() => {
    if (next === null || busy) return;
    setNext(null);
    if (!failure) save(next);
  }, [next, busy]);
  const submit = () => {
    if (busy) setNext(text === sent.current ? null : text);
    // What was refused may have been another text: the deployment says what it says of this.
    else if (maySave || (isWritten && refusal.of !== text)) save(text);
  };
  if (isGone && !isEdited) return <Gone writing={writing} close={close} />;
  const field = fieldOf(table, id);
  return (
    <form
      className="convexlab-editor"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
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
        aria-invalid={isEdited && refusal.why !== null}
        onChange={(event) => setText(event.target.value)}
      />
      {/* What is still to be written is no mistake yet. */}
      <Trouble text={failure || trouble || (isEdited ? refusal.why : null)} />
      {isGone ? <Trouble text="This document has been deleted meanwhile." /> : null}
      {hasChanged && isEdited ? (
        <Trouble text="This document has been changed meanwhile, by somebody else." />
      ) : null}
      <div className="convexlab-line">
        <button
          type="submit"
          className="convexlab-action convexlab-first"
          aria-disabled={busy || !maySave}
        >
          {id === null ? "Create" : "Save"}
        </button>
        {hasChanged && isEdited ? (
          <Action text="Take theirs" label="Take theirs" run={() => start(now)} />
        ) : null}
        {id === null || isGone ? null : (
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

interface Refusal {
  /** The text that was looked at last, while another one may stand there by now. */
  readonly of: string;
  readonly why: string | null;
}

/** Why the text cannot be stored: not JSON, or what the deployment says; null if it can. */
function useChecked(deployment: Deployment, table: string, text: string): Refusal {
  const [refusal, setRefusal] = React.useState<Refusal>({ of: text, why: null });
  React.useEffect(() => {
    let isNewest = true;
    const timer = setTimeout(async () => {
      const said = await checked(deployment, table, text);
      if (isNewest) setRefusal({ of: text, why: said });
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
