/** Environment variables: their names; a value only when it is asked for. */
import * as React from "react";
import { type Deployment, VARIABLES } from "./deployment.ts";
import { useChange, useFollowed, useWork } from "./hooks.ts";
import { Action, Entry, List, Nothing, Trouble } from "./section.tsx";

export function EnvironmentView({ deployment }: { deployment: Deployment }) {
  const { value, failure } = useFollowed<readonly string[]>(deployment.owner, VARIABLES, {});
  const [busy, problem, run] = useChange(deployment, "variables");
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
                disabled={busy}
                run={() => run(() => deployment.setVariable(name, null))}
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

/** A name and a value: another value, where there is one of that name. */
function Setting({ deployment }: { deployment: Deployment }) {
  const [name, setName] = React.useState("");
  const [value, setValue] = React.useState("");
  const [busy, failure, run] = useChange(deployment, "variables");
  const set = () =>
    run(async () => {
      await deployment.setVariable(name.trim(), value);
      setName("");
      setValue("");
    });
  return (
    <form
      className="convexlab-filters"
      aria-label="Set a variable"
      onSubmit={(event) => {
        event.preventDefault();
        if (!busy && name.trim()) set();
      }}
    >
      <input
        aria-label="Name"
        placeholder="NAME"
        spellCheck={false}
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <input
        aria-label="Value"
        placeholder="value"
        type="password"
        autoComplete="off"
        value={value}
        onChange={(event) => setValue(event.target.value)}
      />
      <button type="submit" className="convexlab-action" aria-disabled={busy || !name.trim()}>
        Set
      </button>
      <Trouble text={failure} />
    </form>
  );
}
