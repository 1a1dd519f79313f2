/**
 * A function in a tab: a form made from what it takes, and what came of it.
 *
 * It is called as a user of the deployment would call it, who is not signed in; what is
 * internal, which no user can call, as the owner. A query's result stays live.
 */
import { convexToJson, type Value } from "convex/values";
import * as React from "react";
import { formControl } from "../../src/controls/form.ts";
import { el } from "../../src/dom.ts";
import { showLive } from "../../src/panel.ts";
import type { Source } from "../../src/source.ts";
import type { Args } from "../../src/spec.ts";
import { styled } from "../../src/style.ts";
import { treeView } from "../../src/views/tree.ts";
import { type Deployment, FUNCTIONS, type Function, fieldsOf } from "./deployment.ts";
import { Shown, useFollowed } from "./hooks.ts";
import { Nothing, Trouble } from "./section.tsx";

export function RunnerView({ deployment, path }: { deployment: Deployment; path: string }) {
  const { value, failure } = useFollowed<readonly Function[]>(deployment.owner, FUNCTIONS, {});
  const told = value?.find(({ module, name }) => `${module}:${name}` === path);
  return (
    <div className="convexlab-runner">
      <Trouble text={failure} />
      {value && !told ? <Nothing text={`There is no function ${path} any more.`} /> : null}
      {/* Another signature is another form. */}
      {told ? <Form key={JSON.stringify(told.args)} deployment={deployment} told={told} /> : null}
    </div>
  );
}

function Form({ deployment, told }: { deployment: Deployment; told: Function }) {
  const path = `${told.module}:${told.name}`;
  const isInternal = told.visibility?.kind === "internal";
  const source = isInternal ? deployment.owner : deployment.user;
  const form = React.useRef<HTMLDivElement>(null);
  const result = React.useRef<HTMLDivElement>(null);
  const [args, setArgs] = React.useState<Args | null>(null);
  const [value, setValue] = React.useState<{ readonly value: Value } | null>(null);
  // biome-ignore lint: the form stands for the signature, by which this component is known.
  React.useEffect(() => {
    if (!form.current) return;
    // What was asked stays in the form, to be asked a little otherwise.
    const action = { path, label: "Run", fields: fieldsOf(told.args), args: {} as Args };
    const run = async (given: Args) => {
      action.args = given;
      if (told.kind === "query") {
        const said = await source.call("query", path, given);
        setArgs(given);
        return said;
      }
      const kind = told.kind === "action" ? "action" : "mutation";
      const said = await source.call(kind, path, given);
      setValue({ value: said });
      return said;
    };
    styled(form.current).replaceChildren(
      el("div", { class: "frame" }, formControl(action, calling(source, run))),
    );
  }, []);
  const shown = React.useContext(Shown);
  React.useEffect(() => {
    if (!result.current || !args || !shown) return;
    const life = new AbortController();
    const live = { path, args: convexToJson(args) };
    showLive(result.current, live, source, life.signal);
    return () => life.abort();
  }, [args, path, source, shown]);
  React.useEffect(() => {
    if (!result.current || !value) return;
    const tree = treeView();
    tree.draw(value.value);
    styled(result.current).replaceChildren(el("div", { class: "frame" }, tree.element));
  }, [value]);
  return (
    <>
      <h2>{path}</h2>
      {told.description ? <p className="convexlab-words">{told.description}</p> : null}
      <Nothing
        text={
          isInternal
            ? "Internal: called in the owner's name."
            : "Called as a user who is not signed in."
        }
      />
      <div ref={form} />
      <section ref={result} aria-label="Result" />
    </>
  );
}

/** A source whose calls are done otherwise: a form calls mutations, and this is not one as a rule. */
function calling(source: Source, run: (args: Args) => Promise<Value>): Source {
  return {
    followsAny: false,
    follow: (query, follower, signal) => source.follow(query, follower, signal),
    call: (_kind, _path, args) => run(args),
    at: (query, moment) => source.at(query, moment),
    rows: (sql, params) => source.rows(sql, params),
    upload: (file) => source.upload(file),
    charts: () => source.charts(),
  };
}
