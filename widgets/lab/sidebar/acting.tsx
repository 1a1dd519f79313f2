/** In whose name a function is called: nobody's, or that of a user whom one describes. */
import * as React from "react";
import type { Identity } from "../../src/owner.ts";
import { isRecord } from "../../src/spec.ts";
import { Trouble } from "./section.tsx";

const EXAMPLE = { issuer: "https://example.com", subject: "ann", name: "Ann" };

interface Props {
  readonly path: string;
  readonly isInternal: boolean;
  /** Whose name it is now; undefined: what is written is nobody. */
  readonly actingAs: Identity | null | undefined;
  readonly act: (actingAs: Identity | null | undefined) => void;
}

export function ActingAs({ path, isInternal, actingAs, act }: Props) {
  const [text, setText] = React.useState(() => JSON.stringify(actingAs ?? EXAMPLE, null, 2));
  const isUser = actingAs !== null;
  const { problem } = identityOf(text);
  const field = `convexlab-acting-${path}`;
  const write = (written: string) => {
    setText(written);
    act(identityOf(written).identity);
  };
  React.useEffect(() => {
    if (actingAs) setText(JSON.stringify(actingAs, null, 2));
    // biome-ignore lint: only what comes from elsewhere is written into the field.
  }, []);
  return (
    <fieldset className="convexlab-acting">
      <legend>Called as</legend>
      <label>
        <input type="radio" name={field} checked={!isUser} onChange={() => act(null)} />
        {isInternal ? "the owner: it is internal" : "a user who is not signed in"}
      </label>
      <label>
        <input type="radio" name={field} checked={isUser} onChange={() => write(text)} />a user
      </label>
      {isUser ? (
        <>
          <textarea
            aria-label="The user's identity, as JSON"
            rows={5}
            spellCheck={false}
            value={text}
            aria-invalid={problem !== null}
            onChange={(event) => write(event.target.value)}
          />
          <Trouble text={problem} />
        </>
      ) : null}
    </fieldset>
  );
}

/** The user that a text describes, or why it describes none. */
export function identityOf(text: string): {
  readonly identity: Identity | undefined;
  readonly problem: string | null;
} {
  let said: unknown;
  try {
    said = JSON.parse(text);
  } catch (error) {
    return { identity: undefined, problem: (error as Error).message };
  }
  const isSomebody =
    isRecord(said) &&
    (typeof said.tokenIdentifier === "string" ||
      (typeof said.issuer === "string" && typeof said.subject === "string"));
  if (isSomebody) return { identity: said as Identity, problem: null };
  return { identity: undefined, problem: "A user has an issuer and a subject, or a tokenIdentifier." };
}
