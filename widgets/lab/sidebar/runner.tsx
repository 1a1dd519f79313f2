/**
 * A function in a tab: a form made from what it takes, in whose name it is called, and
 * what came of it.
 *
 * A query is followed as soon as what is typed is all that it takes, and again with each
 * change of it. A mutation or an action is called when one says so; in production one is
 * asked whether one means it.
 */
import { convexToJson, type Value } from "convex/values";
import * as React from "react";
import { formControl, type Typed, typeAgain, typedOf } from "../../src/controls/form.ts";
import { el } from "../../src/dom.ts";
import { fieldsOf } from "../../src/inputs.ts";
import type { Identity } from "../../src/owner.ts";
import type { SocketSource } from "../../src/socket.ts";
import type { Source } from "../../src/source.ts";
import type { Args } from "../../src/spec.ts";
import { styled } from "../../src/style.ts";
import { treeView } from "../../src/views/tree.ts";
import { ActingAs } from "./acting.tsx";
import { callCode } from "./code.ts";
import { type Deployment, FUNCTIONS, type Function } from "./deployment.ts";
import type { Desk } from "./desk.ts";
import { useFollowed } from "./hooks.ts";
import { isCallMeant } from "./meant.ts";
import { argsOf, type Call, callOf, LastRuns } from "./runs.tsx";
import { Action, Nothing, Trouble } from "./section.tsx";
import { useLive } from "./seen.ts";

const PAUSE_MS = 250;

export function RunnerView(props: { deployment: Deployment; path: string; desk: Desk }) {
  const { deployment, path, desk } = props;
  const { value, failure } = useFollowed<readonly Function[]>(deployment.owner, FUNCTIONS, {});
  const told = value?.find(({ module, name }) => `${module}:${name}` === path);
  const again = (call: Call) => {
    deployment.runs.want(call);
    if (call.path !== path) desk.openFunction(call.path);
  };
  return (
    <div className="convexlab-runner">
      <Trouble text={failure} />
      {value && !told ? <Nothing text={`There is no function ${path} any more.`} /> : null}
      {told ? <Calling deployment={deployment} told={told} desk={desk} /> : null}
      <LastRuns runs={deployment.runs} again={again} />
    </div>
  );
}

/** What the form begins with; `isCalled`: it is called with that at once. */
interface Beginning {
  readonly args: Args;
  readonly isCalled: boolean;
}

/** What a query is asked with, and what it took then. */
interface Followed {
  readonly args: Args;
  readonly signature: string;
}

function Calling({ deployment, told, desk }: { deployment: Deployment; told: Function; desk: Desk }) {
  const path = `${told.module}:${told.name}`;
  const isInternal = told.visibility?.kind === "internal";
  const [begin, setBegin] = React.useState<Beginning>({ args: {}, isCalled: false });
  const [actingAs, act] = React.useState<Identity | null | undefined>(null);
  const [followed, follow] = React.useState<Followed | null>(null);
  const signature = JSON.stringify(told.args);
  // What was typed for another signature is no question to this one.
  const args = followed?.signature === signature ? followed.args : null;
  const setArgs = (given: Args) => follow({ args: given, signature });
  const [value, setValue] = React.useState<{ readonly value: Value } | null>(null);
  const wanted = React.useSyncExternalStore(deployment.runs.listen, deployment.runs.wanted);
  React.useEffect(() => {
    if (wanted?.path !== path) return;
    deployment.runs.want(null);
    act(wanted.actingAs);
    setBegin({ args: argsOf(wanted), isCalled: true });
  }, [deployment, path, wanted]);
  // Whoever is described by half is nobody yet: until then, nothing new is asked.
  const source = useSource(deployment, isInternal, actingAs ?? null);
  const calls = React.useRef(0);
  const call = async (given: Args): Promise<Value> => {
    if (actingAs === undefined) throw new Error("Say first who it is called as.");
    const mine = ++calls.current;
    // N.B. at once: what is typed while it is asked is followed after it.
    if (told.kind === "query") setArgs(given);
    return recorded(deployment, callOf(path, given, actingAs), async () => {
      const kind = told.kind as "query" | "mutation" | "action";
      const said = await source.call(kind, path, given);
      if (kind !== "query" && mine === calls.current) setValue({ value: said });
      // What came of it stands below, whole.
      return null;
    });
  };
  const allowed = async (given: Args) => {
    if (told.kind !== "query" && !(await isCallMeant(deployment, path))) throw new Error("Not called.");
    return call(given);
  };
  const live = told.kind === "query" ? setArgs : null;
  return (
    <>
      <h2>{path}</h2>
      {told.description ? <p className="convexlab-words">{told.description}</p> : null}
      <ActingAs
        key={`as ${JSON.stringify(begin)}`}
        path={path}
        isInternal={isInternal}
        actingAs={actingAs}
        act={act}
      />
      <Form
        told={told}
        signature={signature}
        begin={begin}
        source={source}
        call={allowed}
        live={live}
      />
      <div className="convexlab-line">
        <Action
          text="Add to notebook"
          label={`Add a cell that calls ${path} to the notebook`}
          disabled={isInternal}
          run={() => desk.insert(callCode(told, args))}
        />
      </div>
      <Result
        key={signature}
        source={source}
        path={path}
        args={actingAs === undefined ? null : args}
        value={value}
      />
    </>
  );
}

/** Who asks: a user who is not signed in, one whom the owner acts as, or the owner. */
function useSource(deployment: Deployment, isInternal: boolean, actingAs: Identity | null) {
  const key = JSON.stringify(actingAs);
  // biome-ignore lint: `key` stands for the identity.
  return React.useMemo(
    (): SocketSource => (actingAs ? deployment.as(actingAs) : isInternal ? deployment.owner : deployment.user),
    [deployment, isInternal, key],
  );
}

async function recorded(deployment: Deployment, call: Call, work: () => Promise<null>) {
  const [at, began] = [Date.now(), performance.now()];
  const over = (failure: string | null) =>
    deployment.runs.add({ ...call, at, took: performance.now() - began, failure });
  try {
    const said = await work();
    over(null);
    return said;
  } catch (error) {
    over((error as Error).message);
    throw error;
  }
}

function Form(props: {
  told: Function;
  signature: string;
  begin: Beginning;
  source: Source;
  call: (args: Args) => Promise<Value>;
  live: ((args: Args) => void) | null;
}) {
  const { told, signature, begin } = props;
  const host = React.useRef<HTMLDivElement>(null);
  // What is drawn once calls what there is by then.
  const now = React.useRef(props);
  now.current = props;
  // What the last form began with, and what was typed in it.
  const last = React.useRef<{ readonly begin: Beginning; typed: Typed } | null>(null);
  React.useEffect(() => {
    if (!host.current) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    // What was asked stays in the form, to be asked a little otherwise.
    const action = { path: "", label: "Run", fields: fieldsOf(told.args), args: begin.args };
    const run = (given: Args) => {
      clearTimeout(timer);
      action.args = given;
      return now.current.call(given);
    };
    const changed = (args: Args | null) => {
      clearTimeout(timer);
      timer = setTimeout(() => args && now.current.live?.(args), PAUSE_MS);
    };
    const form = formControl(action, calling(props.source, run), changed);
    styled(host.current).replaceChildren(el("div", { class: "frame" }, form));
    const before = last.current;
    const mine = { begin, typed: {} as Typed };
    last.current = mine;
    form.addEventListener("input", () => {
      mine.typed = typedOf(form);
    });
    const isSame = before?.begin === begin;
    // Of another signature: what was typed goes on.
    if (isSame && hasAny({ ...begin.args, ...before.typed })) typeAgain(form, before.typed);
    else if (begin.isCalled && !isSame) form.requestSubmit();
    else if (!hasAny(action.fields)) changed({});
    return () => clearTimeout(timer);
    // biome-ignore lint: the signature stands for what is told.
  }, [begin, signature]);
  return <div ref={host} />;
}

function hasAny(of: object): boolean {
  return Object.keys(of).length > 0;
}

function Result(props: {
  source: Source;
  path: string;
  args: Args | null;
  value: { readonly value: Value } | null;
}) {
  const { source, path, args, value } = props;
  const host = React.useRef<HTMLDivElement>(null);
  const key = args && JSON.stringify(convexToJson(args));
  useLive(host, args && { path, args: convexToJson(args) }, source, `${path} ${key}`);
  React.useEffect(() => {
    if (!host.current || !value) return;
    const tree = treeView();
    tree.draw(value.value);
    styled(host.current).replaceChildren(el("div", { class: "frame" }, tree.element));
  }, [value]);
  return <section ref={host} aria-label="Result" />;
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
    part: (part) => source.part(part),
  };
}
