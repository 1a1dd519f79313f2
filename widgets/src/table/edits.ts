/**
 * Edited cells as calls of a mutation, seen before the deployment has answered.
 *
 * The kernel has read from the mutation's validators which argument is the
 * document's id and which are its fields; so a cell is edited only where the
 * mutation takes its column. The client shows the edit at once, and takes it back
 * by itself if it is refused.
 */
import type { Value } from "convex/values";
import { type EditSpec, isObject } from "../spec.ts";
import { sameValue } from "../value.ts";
import type { Save } from "./editor.ts";
import type { Row, RowSet } from "./rows.ts";

/** One cell of one document, as it will be. */
export interface Change {
  readonly id: string;
  readonly column: string;
  readonly value: Value;
}

interface Done extends Change {
  readonly before: Value;
}

/** Calls the mutation, and lets the change be seen until it has answered. */
export type Call = (args: Record<string, Value>, change: Change) => Promise<unknown>;

export class Edits {
  readonly #edit: EditSpec;
  readonly #call: Call;
  /** What was edited here, newest last: each can be taken back by another call. */
  readonly #done: Done[] = [];

  constructor(edit: EditSpec, call: Call) {
    this.#edit = edit;
    this.#call = call;
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
        await this.#make({ id, column, value });
        if (before !== undefined) this.#done.push({ id, column, value, before });
      },
    };
  }

  /** Calls the mutation with what was there before the last edit; not over another's. */
  async undo(rows: RowSet): Promise<void> {
    const last = this.#done.pop();
    if (!last) return;
    const row = rows.get(last.id);
    if (row && !sameValue(row[last.column], last.value)) {
      throw new Error(`${last.column} was changed again since`);
    }
    await this.#make({ ...last, value: last.before });
  }

  #make(change: Change): Promise<unknown> {
    return this.#call(argumentsOf(this.#edit, change.id, change.column, change.value), change);
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
export function edited(result: Value, { id, column, value }: Change): Value {
  const change = (item: Value) =>
    isObject(item) && item._id === id ? { ...item, [column]: value } : item;
  if (Array.isArray(result)) return result.map(change);
  if (isObject(result) && Array.isArray(result.page)) {
    return { ...result, page: result.page.map(change) };
  }
  return result;
}
