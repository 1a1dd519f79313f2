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

export function saverOf(spec: LiveSpec, edit: EditSpec, source: Source) {
  return (row: Row | undefined, column: string): Save | null => {
    const field = edit.fields[column];
    const id = row?._id;
    if (!field || typeof id !== "string") return null;
    return {
      // What an edit leaves out would change nothing: an optional argument is asked for.
      field: { ...field, optional: false },
      run: (value) =>
        source.call("mutation", edit.path, argumentsOf(edit, id, column, value), {
          path: spec.path,
          args: spec.args,
          change: (result) => edited(result, id, column, value),
        }),
    };
  };
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
