/** Environment variables: their names; a value only when it is asked for. */
import * as React from "react";
import { type Deployment, VARIABLES } from "./deployment.ts";
import { useChanges, useFollowed, useWork } from "./hooks.ts";
import { isMeant } from "./meant.ts";
import { Action, Entry, List, Nothing, Trouble } from "./section.tsx";

export function EnvironmentView({ deployment }: { deployment: Deployment }) {
  const { value, failure } = useFollowed<readonly string[]>(deployment.owner, VARIABLES, {});
  const [isBusy, problem, run] = useChanges(deployment, "variables");
  return (
    <>
      <Trouble text={problem || failure} />
      {value?.length === 0 ? <Nothing text="No variables are set." /> : null}
      <List label="Environment variables">
        {value?.map((name) => (
          <Entry
            key={name}
            name={name}
            actions={
              <Action
                text="Delete"
                label={`Delete ${name}`}
                disabled={isBusy(name)}
                run={() => run(name, () => deployment.setVariable(name, null))}
              />
            }
          >
            <ValueOf deployment={deployment} name={name} />
          </Entry>
        ))}
      </List>
      <Setting deployment={deployment} />
    </>
  );
}

function ValueOf({ deployment, name }: { deployment: Deployment; name: string }) {
  const [text, setText] = React.useState<string | null>(null);
  const [, failure, run] = useWork();
  React.useEffect(() => {
    run(async () => setText(await deployment.valueOf(name)));
    // biome-ignore lint: `run` is made anew at each drawing.
  }, [deployment, name]);
  return (
    <>
      <Trouble text={failure} />
      <pre className="convexlab-logline">{text ?? "…"}</pre>
    </>
  );
}

const EMPTY = { name: "", value: "" };

/** A name and a value: another value, where there is one of that name. */
function Setting({ deployment }: { deployment: Deployment }) {
  const [boxes, fill] = React.useState(EMPTY);
  const { name, value } = boxes;
  const [, failure, run] = useWork();
  // Empty for the next at once: who types on while this one is set loses nothing. What was
  // not set comes back, unless something else has been typed.
  const set = () => {
    fill(EMPTY);
    run(async () => {
      let isSet = false;
      try {
        if (!(await isMeant(deployment, "variables"))) return;
        await deployment.setVariable(name.trim(), value);
        isSet = true;
      } finally {
        if (!isSet) fill((next) => (next.name || next.value ? next : boxes));
      }
    });
  };
  return (
    <form
      className="convexlab-filters"
      aria-label="Set a variable"
      onSubmit={(event) => {
        event.preventDefault();
        if (name.trim()) set();
      }}
    >
      <input
        aria-label="Name"
        placeholder="NAME"
        spellCheck={false}
        value={name}
        onChange={(event) => fill({ ...boxes, name: event.target.value })}
      />
      <input
        aria-label="Value"
        placeholder="value"
        type="password"
        autoComplete="off"
        value={value}
        onChange={(event) => fill({ ...boxes, value: event.target.value })}
      />
      <button type="submit" className="convexlab-action" aria-disabled={!name.trim()}>
        Set
      </button>
      <Trouble text={failure} />
    </form>
  );
}
