/**
 * Pins: live outputs of notebooks that stay beside one's work, whichever notebook is open.
 *
 * A pin is what its output says of itself (see spec.ts): names and arguments, no rows.
 * They are kept with JupyterLab's workspace, so they are there again after a reload.
 */
import * as React from "react";
import { titleOf } from "../../src/panel.ts";
import type { Source } from "../../src/source.ts";
import { readSpec } from "../../src/spec.ts";
import { liveCode } from "./code.ts";
import type { Desk } from "./desk.ts";
import { Action, Entry, List, Nothing } from "./section.tsx";
import { useLive } from "./seen.ts";

const KEY = "convexlab:pins";

/** JupyterLab's state of the workspace. */
export interface StateDB {
  fetch(id: string): Promise<unknown>;
  save(id: string, value: unknown): Promise<void>;
}

export interface Pin {
  readonly number: number;
  /** As the output has it. */
  readonly said: Readonly<Record<string, unknown>>;
}

export class Pins {
  #all: readonly Pin[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #kept: StateDB | null;
  /** What is pinned while the kept ones are read comes after them. */
  readonly #ready: Promise<void>;

  constructor(kept: StateDB | null) {
    this.#kept = kept;
    this.#ready = this.#read();
  }

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly all = (): readonly Pin[] => this.#all;

  /** Pins what an output says; once. */
  async add(said: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#ready;
    const text = JSON.stringify(said);
    if (this.#all.some((pin) => JSON.stringify(pin.said) === text)) return;
    const number = Math.max(0, ...this.#all.map((pin) => pin.number)) + 1;
    this.#set([...this.#all, { number, said }]);
  }

  remove(number: number): void {
    this.#set(this.#all.filter((pin) => pin.number !== number));
  }

  async #read(): Promise<void> {
    const found = await this.#kept?.fetch(KEY).catch(() => undefined);
    this.#all = ((found as { pins?: Pin[] } | undefined)?.pins ?? []).filter(isReadable);
    this.#tell();
  }

  #set(pins: readonly Pin[]): void {
    this.#all = pins;
    void this.#kept?.save(KEY, { pins });
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Whether it is a live result that this release can show. */
export function isReadable({ said }: Pick<Pin, "said">): boolean {
  try {
    return !("control" in said) && readSpec(said) !== null;
  } catch {
    return false;
  }
}

export function PinsView({ pins, source, desk }: { pins: Pins; source: Source; desk: Desk }) {
  const all = React.useSyncExternalStore(pins.listen, pins.all);
  return (
    <>
      {all.length === 0 ? (
        <Nothing text="Nothing yet: press “pin” on a live output of a notebook." />
      ) : null}
      <List label="Pinned">
        {all.map((pin) => (
          <PinEntry key={pin.number} pin={pin} pins={pins} source={source} desk={desk} />
        ))}
      </List>
    </>
  );
}

function PinEntry(props: { pin: Pin; pins: Pins; source: Source; desk: Desk }) {
  const { pin, pins, source, desk } = props;
  const spec = readSpec(pin.said);
  const { name, text } = titleOf(spec);
  const code = liveCode(spec);
  return (
    <Entry
      name={text ? `${name} ${text}` : name}
      code={code}
      isOpen
      actions={
        <>
          <Action
            text="Add"
            label={`Add a cell that shows ${name} to the notebook`}
            run={() => desk.insert(code)}
          />
          <Action text="Unpin" label={`Unpin ${name}`} run={() => pins.remove(pin.number)} />
        </>
      }
    >
      <Pinned said={pin.said} name={`Pin ${pin.number}: ${name}`} source={source} />
    </Entry>
  );
}

function Pinned({ said, name, source }: { said: Pin["said"]; name: string; source: Source }) {
  const host = React.useRef<HTMLElement>(null);
  useLive(host, said, source, JSON.stringify(said));
  return <section ref={host} className="convexlab-pinned" aria-label={name} />;
}
