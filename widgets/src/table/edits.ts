/**
 * Edited cells as calls of a mutation, seen before the deployment has answered.
 *
 * The kernel has read from the mutation's validators which argument is the
 * document's id and which are its fields; so a cell is edited only where the
 * mutation takes its column. The client shows the edit at once, and takes it back
 * by itself if it is refused.
 */
import type { Value } from "convex/values";
import type { Source } from "../source.ts";
import { type EditSpec, isObject, type LiveSpec } from "../spec.ts";
import type { Save } from "./editor.ts";
import type { Row } from "./rows.ts";

interface Done {
  readonly id: string;
  readonly column: string;
  readonly before: Value;
}

export class Edits {
  readonly #spec: LiveSpec;
  readonly #edit: EditSpec;
  readonly #source: Source;
  /** What was edited here, newest last: each can be taken back by another call. */
  readonly #done: Done[] = [];

  constructor(spec: LiveSpec, edit: EditSpec, source: Source) {
    this.#spec = spec;
    this.#edit = edit;
    this.#source = source;
  }

  /** What takes an edit of this cell; null if nothing does. */
  saver(row: Row | undefined, column: string): Save | null {
    const field = this.#edit.fields[column];
    const id = row?._id;
    if (!row || !field || typeof id !== "string") return null;
    const before = row[column];
    return {
      // What an edit leaves out would change nothing: an optional argument is asked for.
      field: { ...field, optional: false },
      run: async (value) => {
        await this.#call(id, column, value);
        if (before !== undefined) this.#done.push({ id, column, before });
      },
    };
  }

  /** Calls the mutation with what was there before the last edit. */
  async undo(): Promise<void> {
    const last = this.#done.pop();
    if (last) await this.#call(last.id, last.column, last.before);
  }

  #call(id: string, column: string, value: Value): Promise<Value> {
    const args = argumentsOf(this.#edit, id, column, value);
    return this.#source.call("mutation", this.#edit.path, args, {
      path: this.#spec.path,
      args: this.#spec.args,
      change: (result) => edited(result, id, column, value),
    });
  }
}

export function argumentsOf(
  edit: EditSpec,
  id: string,
  column: string,
  value: Value,
): Record<string, Value> {
  const change = { [column]: value };
  return edit.within === null
    ? { [edit.id]: id, ...change }
    : { [edit.id]: id, [edit.within]: change };
}

/** The result as it will be: one cell of one document is another. */
export function edited(result: Value, id: string, column: string, value: Value): Value {
  const change = (item: Value) =>
    isObject(item) && item._id === id ? { ...item, [column]: value } : item;
  if (Array.isArray(result)) return result.map(change);
  if (isObject(result) && Array.isArray(result.page)) {
    return { ...result, page: result.page.map(change) };
  }
  return result;
}
