/** The desk: where the sidebar opens tabs, and the notebook that it writes cells into. */
import { Notification } from "@jupyterlab/apputils";
import { NotebookActions, type NotebookTracker } from "@jupyterlab/notebook";
import { type Function, fieldsOf } from "./deployment.ts";

export interface Desk {
  openTable(table: string): void;
  openFunction(path: string): void;
  insert(code: string): void;
}

/** A new cell below the active one of the notebook in front. */
export async function insertCell(tracker: NotebookTracker | null, code: string): Promise<void> {
  const panel = tracker?.currentWidget;
  if (!panel) {
    Notification.info("Open a notebook first: the cell goes below its active one.", {
      autoClose: 5_000,
    });
    return;
  }
  // One that has just been opened is filled when its file has come: the cell goes after that.
  await panel.context.ready;
  NotebookActions.insertBelow(panel.content);
  panel.content.activeCell?.model.sharedModel.setSource(code);
}

export function tableCode(table: string): string {
  return `db.table(${JSON.stringify(table)})`;
}

const CALLS = { query: "watch", mutation: "mutation", action: "action", http_action: "" };

/** A call with all that it must be given, to be filled in. */
export function functionCode({ module, name, kind, args }: Function): string {
  const needed = Object.entries(fieldsOf(args)).filter(([, { optional }]) => !optional);
  const given = needed.map(([argument]) => `, ${argument}=...`).join("");
  return `db.${CALLS[kind]}(${JSON.stringify(`${module}:${name}`)}${given})`;
}
