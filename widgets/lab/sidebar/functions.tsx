/** Functions by module: what each takes and gives, and what it says of itself. */
import { fieldsOf, validatorText } from "../../src/inputs.ts";
import * as React from "react";
import { callCode } from "./code.ts";
import { type Deployment, FUNCTIONS, type Function, MODULES, type Module } from "./deployment.ts";
import type { Desk } from "./desk.ts";
import { useFollowed } from "./hooks.ts";
import { OriginLine } from "./origin.tsx";
import { Action, Entry, List, Nothing, Trouble } from "./section.tsx";
import { Signature } from "./tables.tsx";

export function FunctionsView({ deployment, desk }: { deployment: Deployment; desk: Desk }) {
  const { value, failure } = useFollowed<readonly Function[]>(deployment.owner, FUNCTIONS, {});
  const modules = useFollowed<readonly Module[]>(deployment.owner, MODULES, {}).value;
  return (
    <>
      <Trouble text={failure} />
      {value?.length === 0 ? <Nothing text="No functions yet: run a %%convex cell." /> : null}
      {byModule(value ?? []).map(([module, functions]) => (
        <section key={module} aria-label={`Module ${module}`}>
          <h3 className="convexlab-module">{module}</h3>
          <OriginLine module={modules?.find(({ path }) => path === module)} desk={desk} />
          <List label={`Functions of ${module}`}>
            {functions.map((each) => (
              <FunctionEntry key={each.name} told={each} desk={desk} />
            ))}
          </List>
        </section>
      ))}
    </>
  );
}

function FunctionEntry({ told, desk }: { told: Function; desk: Desk }) {
  const path = `${told.module}:${told.name}`;
  const isRoute = told.kind === "http_action";
  const isInternal = told.visibility?.kind === "internal";
  const code = isRoute || isInternal ? {} : { code: callCode(told) };
  return (
    <Entry
      name={path}
      label={told.name}
      {...code}
      glance={
        <span className="convexlab-badge" data-kind={told.kind}>
          {isInternal ? "internal " : ""}
          {told.kind.replace("_", " ")}
        </span>
      }
      actions={isRoute ? null : <FunctionActions path={path} told={told} desk={desk} />}
    >
      {told.description ? <p className="convexlab-words">{told.description}</p> : null}
      {isRoute ? null : <Types told={told} />}
    </Entry>
  );
}

function FunctionActions({ path, told, desk }: { path: string; told: Function; desk: Desk }) {
  return (
    <>
      <Action text="Run" label={`Run ${path}`} run={() => desk.openFunction(path)} />
      {told.visibility?.kind === "internal" ? null : (
        <Action
          text="Add"
          label={`Add a cell that calls ${path} to the notebook`}
          run={() => desk.insert(callCode(told))}
        />
      )}
    </>
  );
}

function Types({ told }: { told: Function }) {
  const fields = Object.entries(fieldsOf(told.args));
  return (
    <>
      {fields.length === 0 ? <Nothing text="No arguments." /> : <Signature fields={fields} />}
      <Nothing text={`Returns ${told.returns ? validatorText(told.returns) : "any"}.`} />
    </>
  );
}

export function byModule(functions: readonly Function[]): [string, readonly Function[]][] {
  const modules = new Map<string, Function[]>();
  for (const each of functions) {
    const known = modules.get(each.module);
    if (known) known.push(each);
    else modules.set(each.module, [each]);
  }
  return [...modules];
}
