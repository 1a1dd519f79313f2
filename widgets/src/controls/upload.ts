/** A place for files: each is stored, and a mutation is told of it. */
import type { Value } from "convex/values";
import { el } from "../dom.ts";
import type { Source } from "../source.ts";
import type { Args } from "../spec.ts";
import type { Action } from "./control.ts";
import { Outcome } from "./outcome.ts";

export function uploadControl(action: Action, source: Source): HTMLElement {
  const outcome = new Outcome();
  const chooser = el("input", { type: "file", multiple: true, hidden: true });
  const button = el("button", {
    type: "button",
    class: "primary",
    text: action.label ?? "Choose files",
  });
  const place = el("div", { class: "drop" }, button, "or drop them here", chooser);
  // What is chosen while others are being stored comes after them.
  let stored: Promise<unknown> = Promise.resolve();
  const take = (files: FileList | null | undefined) => {
    const chosen = [...(files ?? [])];
    if (chosen.length === 0) return;
    const before = stored;
    stored = outcome.of(button, async () => {
      await before;
      return storeAll(chosen, action, source);
    });
  };
  button.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    take(chooser.files);
    chooser.value = "";
  });
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    // N.B. JupyterLab would open the file.
    event.preventDefault();
    event.stopPropagation();
    place.classList.remove("over");
    take(event.dataTransfer?.files);
  });
  return el("div", { class: "control" }, place, el("div", { class: "line" }, outcome.element));
}

/** What was stored: one by its name. The others are not tried after one that is refused. */
async function storeAll(files: readonly File[], action: Action, source: Source): Promise<string> {
  for (const [stored, file] of files.entries()) {
    try {
      const id = await source.upload(file);
      await source.call("mutation", action.path, argumentsFor(action, id, file));
    } catch (error) {
      const before = stored === 0 ? "" : ` (${stored} of ${files.length} are stored)`;
      throw new Error(`${file.name}: ${(error as Error).message}${before}`);
    }
  }
  return files.length === 1 ? (files[0] as File).name : `${files.length} files`;
}

/** The storage id goes where one is taken; name, type and size where the function asks for them. */
export function argumentsFor(
  action: Action,
  id: string,
  file: Pick<File, "name" | "type" | "size">,
): Args {
  const args: Record<string, Value> = { ...action.args };
  for (const [name, { fieldType }] of Object.entries(action.fields)) {
    if (fieldType.type === "id" && fieldType.tableName === "_storage") args[name] = id;
    else if (name in args) continue;
    else if (name === "name") args[name] = file.name;
    else if (name === "contentType") args[name] = file.type;
    else if (name === "size") args[name] = file.size;
  }
  return args;
}
